/** An endpoint that must prove that it is wanted. */
import { memoryDatabase, memoryStorage } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { type Answer, receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const dataOf = (body: string) => (JSON.parse(body) as { data: { challenge?: string } }).data
const echoing: Answer = ({ body }, _, response) => response.end(JSON.stringify({ challenge: dataOf(body).challenge }))

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`a challenged endpoint on ${name}`, () => {
    it('is sent nothing else before it has answered, and then what was held', async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage, challenge: true })
      const target = await receiver(echoing)
      const { id, ...created } = await webhooks.endpoints.create(scope, { url: target.url })
      expect(created).toMatchObject({ enabled: false, disabledReason: 'unverified' })
      await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ held: 1 })
      await expect(webhooks.endpoints.enable(scope, id)).rejects.toMatchObject({ code: 'endpoint_unverified' })
      await expect(webhooks.endpoints.verify({ tenantId: 't2' }, id)).rejects.toMatchObject({ code: 'not_found' })

      expect(await webhooks.endpoints.verify(scope, id)).toMatchObject({ enabled: true, disabledReason: null })
      expect(target.received[0]?.headers['webhook-signature']).toMatch(/^v1,/)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      expect(await webhooks.endpoints.verify(scope, id)).toMatchObject({ enabled: true })
      expect(target.received).toHaveLength(2)

      const moved = await webhooks.endpoints.update(scope, id, { url: `${target.url}/elsewhere` })
      expect(moved).toMatchObject({ enabled: false, disabledReason: 'unverified' })
      const told = events.map(({ type }) => type)
      expect(told).toEqual(['endpoint.created', 'endpoint.enabled', 'endpoint.updated', 'endpoint.disabled'])
      await close()
    })

    it('stays disabled if somebody disabled it, before or after its URL was changed', async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage, challenge: true })
      const target = await receiver(echoing)
      for (const disabledFirst of [true, false]) {
        const { id } = await webhooks.endpoints.create(scope, { url: target.url })
        await webhooks.endpoints.verify(scope, id)
        await webhooks.publish(keyCreated)
        const disable = () => webhooks.endpoints.disable(scope, id)
        if (disabledFirst) await disable()
        const moved = await webhooks.endpoints.update(scope, id, { url: `${target.url}/elsewhere` })
        expect(moved).toMatchObject({ enabled: false, unverified: true })
        if (!disabledFirst) await disable()
        expect(await webhooks.drain()).toMatchObject({ held: 1 })
        const byHand = { enabled: false, disabledReason: 'manual' }
        expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ ...byHand, unverified: true })
        await expect(webhooks.endpoints.enable(scope, id)).rejects.toMatchObject({ code: 'endpoint_unverified' })
        expect(await webhooks.endpoints.verify(scope, id)).toMatchObject({ ...byHand, unverified: false })
        expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
        expect(events.at(-1)).toMatchObject({ type: 'endpoint.updated', after: byHand })
        expect(await webhooks.endpoints.enable(scope, id)).toMatchObject({ enabled: true, disabledReason: null })
        expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
        await webhooks.endpoints.delete(scope, id)
      }
      await close()
    })
  })
}

describe('a challenge', () => {
  it('is not sent from within a transaction', async () => {
    const database = memoryDatabase()
    const { webhooks } = world({ challenge: true, storage: memoryStorage({ database }) })
    const target = await receiver(echoing)
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    const verifying = database.transaction((tx) => webhooks.endpoints.verify({ ...scope, tx }, id))
    await expect(verifying).rejects.toMatchObject({ code: 'setup_error', detail: expect.stringContaining('`tx`') })
    expect(target.received).toEqual([])
  })

  it('wakes a worker for what was held', async () => {
    const { webhooks } = world({ challenge: true })
    const target = await receiver(echoing)
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    const worker = webhooks.startWorker({ pollMs: 60_000 })
    await webhooks.endpoints.verify(scope, id)
    await expect.poll(() => target.received.length).toBe(2)
    await worker.stop()
  })

  it.each<[string, Answer]>([
    ['another answer', (_, __, response) => response.end('{"challenge":"mine"}')],
    ['no JSON', (_, __, response) => response.end('ok')],
    ['null', (_, __, response) => response.end('null')],
    ['a failure that echoes it', ({ body }, _, response) => response.writeHead(500).end(JSON.stringify(dataOf(body)))],
    ['a redirect', (_, __, response) => response.writeHead(302, { location: '/in' }).end()],
  ])('is failed by %s', async (_, answer) => {
    const { webhooks } = world({ challenge: true })
    const target = await receiver(answer)
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    const failed = webhooks.endpoints.verify(scope, id)
    await expect(failed).rejects.toMatchObject({ code: 'challenge_failed', detail: expect.any(String) })
    expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: false })
  })
})
