import { testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'
import { killed, startWorker } from './children.js'
import { loopback, receiver } from './receiver.js'
import { keyCreated, scope } from './world.js'

const total = 2_000
const endpoints = 10

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`a worker killed on ${database.name}`, () => {
    it(`in the middle of ${total} deliveries loses none`, async () => {
      const opened = await database.open()
      await migrate(opened.knex)
      const webhooks = createWebhooks({ storage: knexStorage(opened.knex), network: loopback })
      const target = await receiver()
      const paths = Array.from({ length: endpoints }, (_, n) => `/hooks/${n}`)
      for (const path of paths) await webhooks.endpoints.create(scope, { url: new URL(path, target.url).href })
      const expected = new Set<string>()
      for (let n = 0; n < total / endpoints; n++) {
        const { messageId } = await opened.knex.transaction((tx) => webhooks.publish(keyCreated, { tx }))
        for (const path of paths) expected.add(`${path} ${messageId}`)
      }

      const first = startWorker(opened.config, 0)
      await expect.poll(() => target.received.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(total / 4)
      await killed(first)
      const beforeKill = target.received.length
      expect(beforeKill).toBeLessThan(total)

      // The second begins an hour later by its clock, when every lease of the first has ended.
      const second = startWorker(opened.config, 3_600_000)
      const delivered = async () =>
        Number((await opened.knex('webhooks_deliveries').where('status', 'delivered').count({ count: '*' }))[0]?.count)
      await expect.poll(delivered, { timeout: 25_000, interval: 100 }).toBe(total)
      await killed(second)

      const seen = target.received.map(({ path, headers }) => `${path} ${headers['webhook-id']}`)
      expect(new Set(seen)).toEqual(expected)
      // Only what the first worker had in flight or had not yet written down: at most what it had leased.
      const duplicates = seen.length - total
      const lost = await opened.knex('webhooks_attempts').where('error', 'worker_lost').count({ count: '*' })
      expect(duplicates).toBeLessThanOrEqual(Number(lost[0]?.count))
      console.info(
        `${database.name}: killed after ${beforeKill}, ${duplicates} duplicates of ${lost[0]?.count} in flight`,
      )
      await opened.close()
    }, 60_000)
  })
}
