/** The same signed POST for everybody whom we are measured against. */
import { createHmac, randomBytes } from 'node:crypto'
import { Pool } from 'undici'

/** How many are sent at once, by everybody. */
export const concurrency = 100

/** How many endpoints there are, by everybody. */
export const endpointCount = 20

/** What a job of a queue has to carry. */
export type Job = { path: string; secret: string; id: string; body: string }

/** The data of an event that hosts send often. */
export function eventData(n: number) {
  return { requestId: `req_${n}`, method: 'POST', path: '/v1/translate', keyId: 'key_1', status: 200, durationMs: 87 }
}

const secrets = Array.from({ length: endpointCount }, () => `whsec_${randomBytes(32).toString('base64')}`)

export function jobOf(n: number): Job {
  const endpoint = n % endpointCount
  const body = JSON.stringify({ type: 'request.completed', timestamp: new Date().toISOString(), data: eventData(n) })
  return { path: `/${endpoint}`, secret: secrets[endpoint] ?? '', id: `msg_${n}`, body }
}

/** Signs by Standard Webhooks and sends over connections that stay open. */
export function createPost(origin: string) {
  const pool = new Pool(origin, { connections: concurrency })
  return {
    async post({ path, secret, id, body }: Job): Promise<void> {
      const timestamp = String(Math.floor(Date.now() / 1000))
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
      const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
      const response = await pool.request({
        path,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
      })
      await response.body.dump()
      if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
    },
    close: () => pool.close(),
  }
}
