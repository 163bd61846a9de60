/** Real receivers on loopback. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** Lets receivers on loopback be registered and reached. */
export const loopback = { allow: ['127.0.0.0/8'], allowHttp: true }

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url))

/** The root that signed the receivers' certificate, which is for hooks.test and 127.0.0.1. A test fixture, no secret. */
export const testRoot = fixture('ca.pem')

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface Receiver {
  url: string
  port: number
  received: Received[]
  /** `webhook-id`s in the order they came. */
  ids(): string[]
}

export type Answer = (received: Received, ...http: Parameters<RequestListener>) => void

/** Answers 200 unless told. Closed at the end of the test. */
export async function receiver(answer: Answer = (_, __, response) => response.end('ok')): Promise<Receiver> {
  const received: Received[] = []
  return listen(createServer(recording(received, answer)), 'http', received)
}

/** The same over TLS. */
export async function secureReceiver(answer: Answer = (_, __, response) => response.end('ok')): Promise<Receiver> {
  const received: Received[] = []
  const options = { key: fixture('server.key'), cert: fixture('server.pem') }
  return listen(createSecureServer(options, recording(received, answer)), 'https', received)
}

function recording(received: Received[], answer: Answer): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const entry = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() }
      received.push(entry)
      answer(entry, request, response)
    })
  }
}

async function listen(server: Server, protocol: string, received: Received[]): Promise<Receiver> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const ids = () => received.map(({ headers }) => String(headers['webhook-id']))
  return { url: `${protocol}://127.0.0.1:${port}/hooks`, port, received, ids }
}

/** An address where nobody listens. */
export async function closedPort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}/`
}
