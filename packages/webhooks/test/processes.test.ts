/** Several processes, each with a worker, on one database. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'
import { startChild } from './children.js'
import { loopback, receiver } from './receiver.js'
import { keyCreated, scope } from './world.js'

const messages = 3_000
const paths = Array.from({ length: 10 }, (_, n) => `/hooks/${n}`)
const processesOn = { postgres: 3, mariadb: 3, sqlite: 2 }

async function startWorker(name: string, config: unknown): Promise<ChildProcess> {
  const child = startChild('worker-process.ts', [JSON.stringify({ name, config })], 'ipc')
  await once(child, 'message')
  return child
}

async function ended(child: ChildProcess): Promise<unknown> {
  // The channel to this process would keep it running.
  child.disconnect()
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  return code
}

for (const database of await testDatabases()) {
  const count = processesOn[database.name]
  describe.skipIf(database.missing)(`${count} processes on ${database.name}`, () => {
    it('deliver everything, and nothing twice', async () => {
      const opened = await database.open()
      await migrate(opened.knex)
      const target = await receiver()
      const webhooks = createWebhooks({ storage: knexStorage(opened.knex), network: loopback })
      // Each hears a tenth of the messages, so that the messages are as many as the deliveries.
      for (const [n, path] of paths.entries()) {
        const filter = { keyId: { $eq: `key_${n}` } }
        await webhooks.endpoints.create(scope, { url: new URL(path, target.url).href, filter })
      }
      const expected = new Set<string>()
      const publish = async (from: number, to: number) => {
        const batch = Array.from({ length: to - from }, (_, n) => (from + n) % paths.length)
        const inputs = batch.map((n) => ({ ...keyCreated, data: { keyId: `key_${n}` } }))
        const published = await webhooks.publishBatch(inputs)
        for (const [at, { messageId }] of published.entries()) expected.add(`${paths[batch[at] ?? 0]} ${messageId}`)
      }
      // A part is there before they start, the rest comes while they work.
      await publish(0, 1_000)
      const names = Array.from({ length: count }, (_, n) => `worker ${n + 1}`)
      const children = await Promise.all(names.map((name) => startWorker(name, opened.config)))
      for (let n = 1_000; n < messages; n += 50) await publish(n, n + 50)

      const delivered = async () =>
        Number((await opened.knex('webhooks_deliveries').where('status', 'delivered').count({ count: '*' }))[0]?.count)
      await expect.poll(delivered, { timeout: 60_000, interval: 100 }).toBe(messages)
      expect(await Promise.all(children.map(ended))).toEqual(names.map(() => 0))

      const seen = target.received.map(({ path, headers }) => `${path} ${headers['webhook-id']}`)
      const byWorker = names.map((name) => target.received.filter(({ headers }) => headers['x-worker'] === name).length)
      console.info(
        `${database.name}: ${count} processes sent ${byWorker.join(' + ')}; ${seen.length - messages} of ${messages} twice`,
      )
      expect(new Set(seen)).toEqual(expected)
      expect(seen.length).toBe(messages)
      for (const sent of byWorker) expect(sent).toBeGreaterThan(0)
      const attempts = await opened.knex('webhooks_attempts').count({ count: '*' })
      expect(Number(attempts[0]?.count)).toBe(messages)
      await opened.close()
    }, 90_000)
  })
}
