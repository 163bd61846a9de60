/** The other end of a webhook: a customer's HTTPS server that verifies each signature before it believes a word. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { verifyWebhook } from '@org/webhooks/verify'
import { generate } from 'selfsigned'

export interface Received {
  id: string
  type: string
  data: Record<string, unknown>
  attempt: number
}

export interface Receiver {
  url: string
  /** The certificate to trust, in PEM. */
  ca: string
  /** Deliveries whose signature verified, in the order they came. */
  received: Received[]
  /** How many came with a signature that did not verify. */
  forged: number
  trust(secret: string): void
  /** Answers the next `count` deliveries with 503. */
  failNext(count: number): void
  close(): Promise<void>
}

export async function startReceiver(clock: { now(): number }): Promise<Receiver> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  })
  const attempts = new Map<string, number>()
  let secret = ''
  let failures = 0

  const server = createServer({ key, cert }, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const id = String(request.headers['webhook-id'])
    attempts.set(id, (attempts.get(id) ?? 0) + 1)
    if (failures > 0) {
      failures--
      return void response.writeHead(503).end('out for lunch')
    }
    try {
      verifyWebhook(secret, request.headers, body, { now: clock.now() })
    } catch {
      receiver.forged++
      return void response.writeHead(400).end('bad signature')
    }
    const { type, data } = JSON.parse(body)
    receiver.received.push({ id, type, data, attempt: attempts.get(id) ?? 1 })
    response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const receiver: Receiver = {
    url: `https://127.0.0.1:${port}/hooks`,
    ca: cert,
    received: [],
    forged: 0,
    trust(given) {
      secret = given
    },
    failNext(count) {
      failures = count
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  return receiver
}
