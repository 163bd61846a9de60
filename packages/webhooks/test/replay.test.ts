import { describe, expect, it } from 'vitest'
import { deliveriesOf, jobsWorld, seed, seedMessages, tally, url } from './jobs-world.js'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`replay on ${name}`, () => {
    it('sends again what was sent, by the same id, and what never was', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = jobsWorld(storage)
      const target = await receiver()
      await webhooks.publish(keyCreated) // before the time asked for
      clock.advance(10)
      const since = clock.now()
      const early = await webhooks.publish(keyCreated)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: target.url })
      const sent = await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      const { id } = await webhooks.replay(scope, { endpointId, since })
      await webhooks.publish({ ...keyCreated, data: { keyId: 'later' } }) // by itself, and once
      expect(await webhooks.drain()).toMatchObject({ delivered: 3 })
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ total: 2, processed: 2, affected: 2, skipped: 0 })
      const times = tally(target.ids())
      expect([times.get(early.messageId), times.get(sent.messageId), times.size]).toEqual([1, 2, 3])
      const rows = await deliveriesOf(storage, endpointId)
      expect(rows.map(({ messageId, attempts }) => [messageId, attempts])).toContainEqual([sent.messageId, 2])
      expect(rows.length).toBe(3)
      expect(rows.find(({ messageId }) => messageId === early.messageId)?.createdAt).toBe(clock.now())
      await close()
    })

    it('goes by what the endpoint subscribes to now, and by what was asked for', async () => {
      const { storage, close } = await open()
      const { webhooks, worker } = jobsWorld(storage)
      const body = (n: number) => JSON.stringify({ type: 'x', timestamp: '', data: { n } })
      const rows = [
        ...seedMessages(60, { createdAt: 10 }),
        ...seedMessages(1, { createdAt: 20, channels: ['eu'], body: body(100) }, 100),
        ...seedMessages(1, { createdAt: 20, channels: ['eu', 'us'], body: body(50) }, 101),
        ...seedMessages(1, { createdAt: 20, channels: ['us'], body: body(200) }, 102),
        ...seedMessages(1, { createdAt: 20, type: 'key.revoked', channels: ['eu'], body: body(300) }, 103),
        ...seedMessages(1, { createdAt: 30, type: 'alert.triggered', channels: ['eu'], body: body(400) }, 104),
        ...seedMessages(1, { createdAt: 20, channels: ['eu'], body: null }, 105),
        ...seedMessages(1, { createdAt: 20, type: 'webhook.test', test: true }, 106),
        ...seedMessages(1, { createdAt: 20, tenantId: 't2' }, 107),
      ]
      await storage.run(({ messages }) => messages.insert(rows))
      const replayed = async (endpoint: object, request: object) => {
        const { id: endpointId } = await webhooks.endpoints.create(scope, { url, ...endpoint })
        const { id } = await webhooks.replay(scope, { endpointId, since: 0, ...request })
        while (await worker().goOn()) {}
        const { processed, affected, skipped } = await webhooks.jobs.get(scope, id)
        const numbers = (await deliveriesOf(storage, endpointId)).map(({ messageId }) => Number(messageId.slice(4)))
        expect(affected).toBe(numbers.length)
        return [processed, skipped, ...numbers.sort((a, b) => a - b)]
      }
      // Everything but the test of another endpoint's and what was expunged.
      expect(await replayed({}, { since: 20 })).toEqual([7, 1, 100, 101, 102, 103, 104])
      expect(await replayed({}, { since: 10, until: 20, eventTypes: ['key.revoked'] })).toEqual([60, 0])
      expect(await replayed({ eventTypes: ['key.*'] }, { since: 20 })).toEqual([7, 1, 100, 101, 102, 103])
      expect(await replayed({}, { since: 20, eventTypes: ['key.revoked', 'alert.*'] })).toEqual([7, 0, 103, 104])
      expect(await replayed({ channels: ['eu'] }, { since: 11, until: 30 })).toEqual([6, 1, 100, 101, 103])
      const filtered = { channels: ['eu'], filter: { n: { $gte: 100 } } }
      expect(await replayed(filtered, {})).toEqual([67, 1, 100, 103, 104])
      // Several parts of payloads: 60 of them are looked into.
      expect(await replayed({ filter: { n: { $in: [0, 24, 25, 59] } } }, { until: 20 })).toEqual([60, 0, 0, 24, 25, 59])
      await close()
    })

    it('sends a test of a type once more to its own endpoint, and to no other', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = jobsWorld(storage)
      const [own, other] = [await receiver(), await receiver()]
      const tested = await webhooks.endpoints.create(scope, { url: own.url })
      const another = await webhooks.endpoints.create(scope, { url: other.url })
      const { messageId } = await webhooks.endpoints.sendTest(scope, tested.id, { type: 'key.created' })
      await webhooks.drain()
      clock.advance(1)
      const affected: number[] = []
      for (const { id: endpointId } of [tested, another]) {
        const { id } = await webhooks.replay(scope, { endpointId, since: 0 })
        await webhooks.drain()
        affected.push((await webhooks.jobs.get(scope, id)).affected)
      }
      expect(affected).toEqual([1, 0])
      expect([own.ids(), other.ids()]).toEqual([[messageId, messageId], []])
      await close()
    })

    it('leaves alone what is on its way', async () => {
      const { storage, close } = await open()
      const { webhooks, clock, worker } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      const now = clock.now()
      const statuses = ['pending', 'held', 'delivered', 'dead_letter', 'canceled', 'discarded'] as const
      for (const [n, status] of statuses.entries()) {
        await seed(storage, 1, { endpointId, status, dueAt: now + 777, createdAt: 5 }, {}, n)
      }
      const leased = { leaseToken: 'a worker', leaseUntil: now + 1, status: 'canceled', dueAt: 5 } as const
      await seed(storage, 1, { endpointId, ...leased }, {}, 10)
      await seed(storage, 1, { endpointId, ...leased, leaseUntil: now }, {}, 11) // it is lost
      const fanOut = seedMessages(2, { fanOutAfter: '', createdAt: now }, 20)
      await storage.run(({ messages }) => messages.insert(fanOut.slice(0, 1)))
      const passed = { ...fanOut[1], fanOutAfter: endpointId, createdAt: now } as (typeof fanOut)[0]
      await storage.run(({ messages }) => messages.insert([passed]))
      const before = new Map((await deliveriesOf(storage, endpointId)).map((row) => [row.id, row]))
      const { id } = await webhooks.replay(scope, { endpointId, since: 0 })
      await worker().goOn()
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ processed: 10, affected: 7, skipped: 3 })
      const rows = await deliveriesOf(storage, endpointId)
      const [pending, ...others] = rows.slice(0, 6)
      expect(pending).toEqual(before.get(pending?.id ?? ''))
      const again = {
        status: 'pending',
        step: 0,
        dueAt: now,
        endedAt: null,
        leaseToken: null,
        leaseUntil: null,
        attempts: 3,
      }
      for (const row of others) expect(row).toMatchObject(again)
      expect(rows.find((row) => row.id === 'del_00010')).toEqual(before.get('del_00010'))
      expect(rows.find((row) => row.id === 'del_00011')).toMatchObject(again)
      expect(rows.filter((row) => row.messageId === 'msg_00020')).toEqual([])
      expect(rows.filter((row) => row.messageId === 'msg_00021').length).toBe(1)
      await close()
    })

    it('keeps the order of publication, behind what is still to be sent', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = jobsWorld(storage)
      const target = await receiver()
      const publish = async (orderingKey: string) => (await webhooks.publish({ ...keyCreated, orderingKey })).messageId
      const missed = [await publish('a'), await publish('b')]
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const sent = [await publish('a'), await publish('b'), await publish('a')]
      await webhooks.drain()
      clock.advance(1)
      const { id } = await webhooks.replay(scope, { endpointId, since: 0 })
      const pending = [await publish('a'), await publish('b')]
      target.received.length = 0
      await webhooks.drain()
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ affected: 5 })
      const [a0, b0, a1, b1, a2, a3, b2] = [...missed, ...sent, ...pending]
      expect(target.ids().filter((one) => [a0, a1, a2, a3].includes(one))).toEqual([a3, a0, a1, a2])
      expect(target.ids().filter((one) => [b0, b1, b2].includes(one))).toEqual([b2, b0, b1])
      await close()
    })

    it('pages by time and id, also through a thousand of one time', async () => {
      const { storage, close } = await open()
      const { webhooks, worker } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      // The ids run against the times, so that an order by either alone would leave some out.
      const times = [[300, 30], [700, 20], [400, 10]] as const // biome-ignore format: pairs
      let from = 0
      for (const [count, createdAt] of times) {
        await storage.run(({ messages }) => messages.insert(seedMessages(count, { createdAt }, from)))
        from += count
      }
      const { id } = await webhooks.replay(scope, { endpointId, since: 10, until: 31 })
      await storage.run(({ messages }) => messages.insert(seedMessages(3, { createdAt: 30 }, 9000))) // after the end
      while (await worker().goOn()) {}
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ total: 1400, processed: 1400, affected: 1400 })
      const reached = (await deliveriesOf(storage, endpointId)).map(({ messageId }) => messageId)
      expect(reached.sort()).toEqual(seedMessages(1400).map((message) => message.id))

      const upTo = { createdAt: 30, id: 'msg_00299' }
      const query = { tenantId: 't1', since: 10, until: 31, upTo }
      await storage.read(async ({ messages }) => {
        expect(await messages.countPublished(query, 100)).toBe(100)
        expect(await messages.countPublished({ ...query, until: 20 }, 9999)).toBe(400)
        expect(await messages.lastPublished('t1')).toEqual({ createdAt: 30, id: 'msg_09002' })
        expect(await messages.lastPublished('t9')).toBe(null)
        const [next] = await messages.published(query, { limit: 1, after: { createdAt: 20, id: 'msg_00999' } })
        expect([next?.createdAt, next?.id]).toEqual([30, 'msg_00000'])
      })
      await close()
    })

    it('holds for an endpoint that was disabled meanwhile, until it is enabled', async () => {
      const { storage, close } = await open()
      const { webhooks } = jobsWorld(storage)
      const target = await receiver()
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: target.url })
      await storage.run(({ messages }) => messages.insert(seedMessages(2)))
      await seed(storage, 1, { endpointId, status: 'delivered' }, {}, 10)
      await seed(storage, 1, { endpointId, status: 'held' }, {}, 11)
      const { id } = await webhooks.replay(scope, { endpointId, since: 0 })
      await webhooks.endpoints.disable(scope, endpointId)
      expect(await webhooks.drain()).toMatchObject({ delivered: 0, held: 0 })
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ status: 'done', affected: 3, skipped: 1 })
      expect((await deliveriesOf(storage, endpointId)).map(({ status }) => status)).toEqual(Array(4).fill('held'))
      await webhooks.endpoints.enable(scope, endpointId)
      expect(await webhooks.drain()).toMatchObject({ delivered: 4 })
      await close()
    })
  })
}
