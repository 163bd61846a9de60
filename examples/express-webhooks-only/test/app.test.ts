import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const admin = { authorization: 'Bearer choose-one', 'content-type': 'application/json' }
let url = ''
let stop: () => void

beforeAll(async () => {
  const app = fileURLToPath(new URL('../src/app.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@org/source', '--import', 'tsx', app], {
    env: { ...process.env, PORT: '0', ADMIN_TOKEN: 'choose-one' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  stop = () => child.kill()
  for await (const line of child.stdout) {
    const port = /port: (\d+)/.exec(String(line))?.[1]
    if (port) {
      url = `http://127.0.0.1:${port}`
      break
    }
  }
})
afterAll(() => stop())

const post = (path: string, body: unknown, headers: Record<string, string> = admin) =>
  fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
const get = async (path: string) => (await fetch(url + path, { headers: admin })).json() as Promise<{ data: unknown[] }>

it('publishes with the order, and opens to nobody without the token', async () => {
  const refused = await post(
    '/webhooks/endpoints',
    { url: 'https://hooks.invalid/' },
    { 'content-type': 'application/json' },
  )
  expect(refused.status).toBe(401)
  const endpoint = await post('/webhooks/endpoints', {
    url: 'https://hooks.invalid/orders',
    eventTypes: ['order.created'],
  })
  expect(endpoint.status).toBe(201)
  expect((await post('/orders', { item: 'tea' })).status).toBe(201)
  const { data } = await get('/webhooks/deliveries')
  expect(data).toMatchObject([{ eventType: 'order.created' }])
})
