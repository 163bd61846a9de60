/** Sending in a thread of its own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createWebhooks, memoryStorage } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { type Answer, receiver } from './receiver.js'

async function run(options: { allow?: string[]; crashAt?: number } = {}) {
  // Slower than a thread that is ended as soon as it has begun.
  const answer: Answer = ({ path }, _, response) => void (path === '/hang' || setTimeout(() => response.end('ok'), 100))
  const target = await receiver(answer)
  const file = fileURLToPath(new URL('thread-process.ts', import.meta.url))
  const config = JSON.stringify({ url: target.url, allow: ['127.0.0.1'], ...options })
  const args = ['--conditions=@org/source', '--import', 'tsx', file, config]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return { ...JSON.parse(stdout), paths: target.received.map(({ path }) => path).sort() }
}

const answered = { status: 200, error: null, address: '127.0.0.1', responseBody: 'ok' }
const cutOff = { status: null, error: 'worker_stopped' }

describe('a sending thread', () => {
  it('sends as the worker itself would, within the same guard, and ends with it', async () => {
    const { first, second, cut, after, logged, paths } = await run()
    expect(first).toEqual([answered, answered, expect.objectContaining({ status: null, error: 'address_forbidden' })])
    expect(second).toEqual(answered)
    expect([cut, after]).toMatchObject([cutOff, cutOff])
    expect(paths).toEqual(['/1', '/2', '/4', '/hang'])
    expect(logged).toEqual([])
  })

  it('that crashes fails what it was sending, and the next is begun for what comes', async () => {
    const { first, second } = await run({ crashAt: 1 })
    expect(first.map(({ error }: { error: string }) => error)).toEqual(Array(3).fill('send_failed'))
    expect(second).toEqual(answered)
  })

  it('that cannot begin is done without, and the host is told once', async () => {
    const { first, second, logged, paths } = await run({ allow: ['no address'] })
    expect(first).toMatchObject([answered, answered, { error: 'address_forbidden' }])
    expect(second).toEqual(answered)
    expect(paths).toEqual(['/1', '/2', '/4', '/hang'])
    expect(logged).toEqual([expect.stringContaining('could not begin')])
  })

  it('is not begun where names are resolved by a function of the host', () => {
    const webhooks = createWebhooks({ storage: memoryStorage(), network: { lookup: () => {} } })
    expect(() => webhooks.startWorker({ thread: true })).toThrowError(/`network.lookup`/)
  })
})
