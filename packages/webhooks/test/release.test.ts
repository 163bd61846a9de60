/** What was held goes out when its endpoint is enabled, however much it is. */
import { describe, expect, it } from 'vitest'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { scope, world } from './world.js'

const keyed = (keyId: string, orderingKey?: string) =>
  ({ tenantId: 't1', type: 'key.created', data: { keyId }, ...(orderingKey && { orderingKey }) }) as const

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`releasing on ${name}`, () => {
    const held = async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage })
      const seen: string[] = []
      const target = await receiver(({ body }, _, response) => {
        seen.push((JSON.parse(body) as { data: { keyId: string } }).data.keyId)
        response.end()
      })
      const { id } = await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      await webhooks.endpoints.disable(scope, id)
      const many = Array.from({ length: 1_098 }, (_, n) => keyed(`free${n}`))
      await webhooks.publishBatch([keyed('a1', 'a'), ...many, keyed('a2', 'a')])
      await storage.run(async ({ deliveries }) => {
        const rows = await deliveries.list('t1', {}, { limit: 2_000, after: null })
        const ids = rows.map(({ id }) => id)
        await deliveries.updateAll(ids, { status: 'held' })
      })
      const count = async (status: 'held' | 'pending') =>
        storage.read(({ stats }) => stats.countOf('t1', id, status, 9_999))
      expect(await count('held')).toBe(1_100)
      return { webhooks, events, seen, id, count, close }
    }

    it('is done in part by whoever enables it, and by a worker, in the order of each key', async () => {
      const { webhooks, events, seen, id, count, close } = await held()
      await webhooks.endpoints.enable(scope, id)
      expect([await count('pending'), await count('held')]).toEqual([500, 600])
      const { data } = await webhooks.jobs.list(scope)
      expect(data).toMatchObject([{ kind: 'release', endpointId: id, status: 'running', total: 600 }])
      await webhooks.publish(keyed('a3', 'a'))
      expect(await webhooks.drain()).toMatchObject({ delivered: 1_101 })
      expect(seen.filter((keyId) => keyId.startsWith('a'))).toEqual(['a1', 'a2', 'a3'])
      expect(await webhooks.jobs.get(scope, data[0]?.id ?? '')).toMatchObject({ status: 'done', affected: 600 })
      const told = events.filter(({ type }) => type.startsWith('job.'))
      expect(told.map(({ type, actor }) => [type, actor.type])).toEqual([
        ['job.started', 'user'],
        ['job.completed', 'system'],
      ])
      await close()
    })

    it('stops when it is disabled again, and goes on when it is enabled', async () => {
      const { webhooks, id, count, close } = await held()
      await webhooks.endpoints.enable(scope, id)
      await webhooks.endpoints.disable(scope, id)
      while ((await webhooks.drain()).held > 0) {}
      const [waits, stays] = [await count('pending'), await count('held')]
      expect([waits + stays, stays > 1_000]).toEqual([1_100, true])
      expect((await webhooks.jobs.list(scope)).data).toMatchObject([{ status: 'done', affected: 0 }])
      await webhooks.endpoints.enable(scope, id)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1_100 })
      await close()
    })
  })
}
