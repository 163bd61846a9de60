/** The delivery log: by time, and at a bounded cost whatever is asked for. */
import { createIdFactory, systemRandom } from '@org/core'
import { fakeClock, testDatabases } from '@org/core/testing'
import { memoryStorage } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'
import type { DeliveryFilter } from '../src/deliveries/schema.js'
import { delivery } from '../src/testing/fixtures.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`the delivery log on ${name}`, () => {
    it('is listed by time', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      const start = clock.now()
      const published: string[] = []
      for (let hour = 0; hour < 4; hour++) {
        published.unshift((await webhooks.publish(keyCreated)).messageId)
        clock.advance(3_600_000)
      }
      const at = (hour: number) => start + hour * 3_600_000
      const messages = async (query: object) => {
        const { data, next } = await webhooks.deliveries.list(scope, query)
        return [data.map(({ messageId }) => published.indexOf(messageId)), next]
      }
      expect(await messages({ since: at(1), until: at(3) })).toEqual([[1, 2], null])
      expect(await messages({ since: at(3) })).toEqual([[0], null])
      expect(await messages({ until: at(0) + 1, status: 'pending' })).toEqual([[3], null])
      expect(await messages({ until: at(0) })).toEqual([[], null])
      expect((await webhooks.deadLetters.list(scope, { since: at(0) })).data).toEqual([])
      const first = await webhooks.deliveries.list(scope, { since: at(1), until: at(3), limit: 1 })
      expect(await messages({ since: at(1), until: at(3), cursor: first.next ?? '' })).toEqual([[2], null])
      await close()
    })

    it('has pages that end early where something is rare, and go on', async () => {
      const { storage, close } = await open()
      const clock = fakeClock()
      const makeId = createIdFactory(clock, systemRandom)
      const { webhooks } = world({ storage, clock })
      const rows = Array.from({ length: 10_050 }, (_, n) =>
        delivery({ id: makeId('del'), status: n === 3 ? 'canceled' : 'delivered', createdAt: clock.now() }),
      )
      await storage.run(({ deliveries }) => deliveries.insert(rows))
      let pages = 0
      const found: string[] = []
      for (let cursor: string | null | undefined; cursor !== null; pages++) {
        const page = await webhooks.deliveries.list(scope, { status: 'canceled', ...(cursor && { cursor }) })
        found.push(...page.data.map(({ id }) => id))
        cursor = page.next
      }
      expect(found).toEqual([rows[3]?.id])
      // Memory, and an index that has every status, find it at once.
      expect(pages).toBe(name === 'memory' || name === 'mariadb' ? 1 : 2)
      await close()
    })
  })
}

it('takes ids of the host that tell no time for what they are', async () => {
  let made = 100
  const { webhooks, clock } = world({ storage: memoryStorage(), id: (prefix) => `${prefix}_${made++}` })
  await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
  await webhooks.publish(keyCreated)
  clock.advance(60_000)
  await webhooks.publish(keyCreated)
  const since = clock.now()
  expect((await webhooks.deliveries.list(scope, { since })).data.map(({ createdAt }) => createdAt)).toEqual([since])
  expect((await webhooks.deliveries.list(scope, { until: since })).data).toHaveLength(1)
})

it('is found by an index that has it in its order', async () => {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  if (!sqlite) throw new Error('SQLite is always there')
  const { knex, close } = await sqlite.open({ pool: 1 })
  await migrate(knex)
  const { deliveries } = world({ storage: knexStorage(knex) }).webhooks
  const seen: { sql: string; bindings: string[] }[] = []
  knex.on('query', (query) => seen.push(query))
  const indexesOf = async (filter: DeliveryFilter) => {
    seen.length = 0
    await deliveries.list(scope, filter)
    const indexes: (string | undefined)[] = []
    for (const { sql, bindings } of seen.filter((query) => query.sql.startsWith('select'))) {
      const plan: { detail: string }[] = await knex.raw(`explain query plan ${sql}`, bindings)
      const steps = plan.map(({ detail }) => detail)
      if (filter.messageId === undefined) expect(steps.join()).not.toContain('TEMP B-TREE')
      indexes.push(/USING (?:COVERING )?INDEX webhooks_deliveries_(\w+)/.exec(steps.join())?.[1])
    }
    return indexes
  }
  expect(await indexesOf({})).toEqual(['tenant'])
  expect(await indexesOf({ status: 'dead_letter' })).toEqual(['set_aside'])
  expect(await indexesOf({ status: 'held', endpointId: 'ep_1' })).toEqual(['endpoint_set_aside'])
  expect(await indexesOf({ status: 'held', eventType: 'a.b' })).toEqual(['set_aside', 'set_aside'])
  expect(await indexesOf({ status: 'canceled' })).toEqual(['tenant', 'tenant'])
  expect(await indexesOf({ endpointId: 'ep_1' })).toEqual(['endpoint'])
  expect(await indexesOf({ endpointId: 'ep_1', status: 'canceled' })).toEqual(['endpoint', 'endpoint'])
  expect(await indexesOf({ messageId: 'msg_1', status: 'held' })).toEqual(['message'])
  await close()
})
