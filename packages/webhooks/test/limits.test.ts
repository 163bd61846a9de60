/** What holds an endpoint back: rate limits, places in flight, the circuit breaker, order, and days of failing. */
import { describe, expect, it } from 'vitest'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const failing = (_: unknown, __: unknown, response: { writeHead(status: number): { end(): void } }) =>
  response.writeHead(500).end()
const day = 24 * 60 * 60 * 1000

/** Notes which keys it hears of, in which order. */
async function keyReceiver() {
  const seen: string[] = []
  const target = await receiver(({ body }, _, response) => {
    seen.push((JSON.parse(body) as { data: { keyId: string } }).data.keyId)
    response.end()
  })
  return { target, seen }
}

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`an endpoint on ${name}`, () => {
    it('is sent no more than its rate limit in any period, a tenth of it at once', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const target = await receiver()
      await webhooks.endpoints.create(scope, { url: target.url, rateLimit: { limit: 30, periodMs: 60_000 } })
      await webhooks.publishBatch(Array.from({ length: 99 }, () => keyCreated))
      expect(await webhooks.drain()).toMatchObject({ delivered: 3 })
      // 28 flow back in a period; times are whole milliseconds, rounded up.
      const apart = 2_144
      clock.advance(apart - 1)
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      clock.advance(1)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      const sent = [0, 0, 0, apart]
      for (let time = apart + 2_000; time < 150_000; time += 2_000) {
        clock.advance(2_000)
        const { delivered } = await webhooks.drain()
        sent.push(...Array.from({ length: delivered }, () => time))
        expect(sent.filter((at) => at > time - 60_000).length).toBeLessThanOrEqual(30)
      }
      // In the long run it comes near the limit.
      expect(sent.filter((at) => at >= 75_000 && at < 135_000).length).toBeGreaterThanOrEqual(27)
      await close()
    })

    it('has no more in flight than it may, over all workers', async () => {
      const { storage, second, close } = await open()
      let most = 0
      let now = 0
      const target = await receiver((_, __, response) => {
        most = Math.max(most, ++now)
        setTimeout(() => {
          now--
          response.end()
        }, 50)
      })
      const { webhooks } = world({ storage })
      const { webhooks: other } = world({ storage: second() })
      await webhooks.endpoints.create(scope, { url: target.url, maxInFlight: 2 })
      await webhooks.publishBatch(Array.from({ length: 20 }, () => keyCreated))
      const workers = [webhooks, other].map((one) => one.startWorker({ pollMs: 20 }))
      await expect.poll(() => target.received.length).toBe(20)
      await Promise.all(workers.map((worker) => worker.stop()))
      expect(most).toBe(2)
      expect(new Set(target.ids()).size).toBe(20)
      await close()
    })

    it('is left alone after ten failures in a row, then tried with one, until that succeeds', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, retry: { scheduleMs: Array.from({ length: 20 }, () => 0) } })
      let broken = true
      const target = await receiver((_, __, response) => response.writeHead(broken ? 500 : 200).end())
      const { id } = await webhooks.endpoints.create(scope, { url: target.url, maxInFlight: 1 })
      await webhooks.publishBatch(Array.from({ length: 5 }, () => keyCreated))
      const worker = webhooks.startWorker({ pollMs: 10 })
      await expect.poll(() => target.received.length).toBe(10)
      const health = () => storage.read(({ endpoints }) => endpoints.health([id]))
      await expect.poll(async () => (await health())[0]?.openUntil).toBe(clock.now() + 30_000)

      clock.advance(30_001)
      await expect.poll(() => target.received.length).toBe(11)
      // While it is being sent, the lease of the probe keeps others out for as long: look at what came of it.
      const reopened = { openUntil: clock.now() + 60_000, opened: 2 }
      await expect.poll(async () => (await health())[0]).toMatchObject(reopened)
      broken = false
      clock.advance(60_001)
      await expect.poll(async () => (await health())[0]).toMatchObject({ failures: 0, openUntil: null, opened: 0 })
      await expect.poll(() => target.received.length).toBe(16)
      await worker.stop()
      expect((await webhooks.deliveries.list(scope, { status: 'delivered' })).data).toHaveLength(5)
      await close()
    })

    it('is disabled after five days without one success, and its owner is told', async () => {
      const { storage, close } = await open()
      const told: string[] = []
      const { webhooks, clock, events } = world({
        storage,
        retry: { scheduleMs: [0, day, day, day, day, day, day, day] },
        onEndpointDisabled: ({ id }, { tenantId }) => void told.push(`${tenantId} ${id}`),
      })
      const target = await receiver(failing)
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      for (let n = 0; n < 5; n++) {
        expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
        clock.advance(day + 1)
        expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: true })
      }
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
      expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: false, disabledReason: 'failing' })
      expect(told).toEqual([`t1 ${id}`])
      expect(events.filter(({ type }) => type === 'endpoint.disabled')).toMatchObject([
        { actor: { type: 'system' }, after: { disabledReason: 'failing' } },
      ])
      clock.advance(day + 1)
      expect(await webhooks.drain()).toMatchObject({ held: 1 })
      await webhooks.endpoints.enable(scope, id)
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
      expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: true })
      await close()
    })

    it('is not blamed for what the host fails to make for it', async () => {
      const { storage, close } = await open()
      let broken = true
      const transform = ({ body }: { body: unknown }) => {
        if (broken) throw new Error('no such template')
        return body
      }
      const at = Array.from({ length: 15 }, () => 0)
      const days = Array.from({ length: 6 }, () => day)
      const { webhooks, clock, events } = world({ storage, transform, retry: { scheduleMs: [...at, ...days] } })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      const [delivery] = (await webhooks.deliveries.list(scope)).data
      const attempts = async () => (await webhooks.deliveries.attempts(scope, delivery?.id ?? '')).data.length
      const worker = webhooks.startWorker({ pollMs: 10 })
      // An open circuit would let ten pass, and one a day would have it disabled on the fifth.
      await expect.poll(attempts).toBe(15)
      for (let n = 1; n <= 5; n++) {
        clock.advance(1.2 * day + 1)
        await expect.poll(attempts).toBe(15 + n)
      }
      expect(await webhooks.deliveries.get(scope, delivery?.id ?? '')).toMatchObject({ lastError: 'transform_failed' })
      const health = await storage.read(({ endpoints }) => endpoints.health([id]))
      expect(health.filter(({ failures, openUntil }) => failures > 0 || openUntil !== null)).toEqual([])
      expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: true })
      expect(events.filter(({ type }) => type === 'endpoint.disabled')).toEqual([])

      broken = false
      clock.advance(1.2 * day + 1)
      await expect.poll(() => target.received.length).toBe(1)
      await worker.stop()
      expect(await webhooks.deliveries.get(scope, delivery?.id ?? '')).toMatchObject({ status: 'delivered' })
      await close()
    })

    it('that keeps an order by key sends each after those before it, whatever becomes of others', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, retry: { scheduleMs: [0, 60_000] } })
      let broken = true
      const seen: string[] = []
      const target = await receiver(({ body }, _, response) => {
        const { data } = JSON.parse(body) as { data: { keyId: string } }
        const fails = broken && data.keyId === 'a1'
        if (!fails) seen.push(data.keyId)
        response.writeHead(fails ? 500 : 200).end()
      })
      await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const publish = (keyId: string, orderingKey?: string) =>
        webhooks.publish({ ...keyCreated, data: { keyId }, ...(orderingKey && { orderingKey }) })
      await publish('a1', 'a')
      await publish('a2', 'a')
      await publish('b1', 'b')
      await publish('free')
      await publish('a3', 'a')
      await publish('b2', 'b')
      expect(await webhooks.drain()).toMatchObject({ delivered: 3, rescheduled: 1 })
      expect(seen.filter((id) => id !== 'free')).toEqual(['b1', 'b2'])
      broken = false
      await publish('a4', 'a')
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      clock.advance(80_000)
      expect(await webhooks.drain()).toMatchObject({ delivered: 4 })
      expect(seen.filter((id) => id.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4'])
      await close()
    })

    it('that begins to keep an order finds what it had without a key beside it', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage, retry: { scheduleMs: [0] } })
      const target = await receiver(failing)
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      const positions = async () => {
        const list = await storage.read((stores) => stores.deliveries.list('t1', {}, { limit: 9, after: null }))
        return list.map(({ status, orderKey, position }) => [status, orderKey, position > 1 ? 'later' : position])
      }
      await webhooks.publish({ ...keyCreated, orderingKey: 'a' })
      await webhooks.drain()
      await webhooks.publish(keyCreated)
      expect(await positions()).toEqual([
        ['pending', null, 0],
        ['dead_letter', null, 0],
      ])
      await webhooks.endpoints.update(scope, id, { ordering: 'key' })
      await webhooks.publish(keyCreated)
      await webhooks.publish({ ...keyCreated, orderingKey: 'a' })
      expect(await positions()).toEqual([
        ['pending', 'a', 'later'],
        ['pending', null, 1],
        ['pending', null, 1],
        ['dead_letter', null, 1],
      ])
      await close()
    })

    it('that keeps an order sends no redriven one while one behind it is being sent', async () => {
      const { storage, second, close } = await open()
      const { webhooks } = world({ storage, retry: { scheduleMs: [0] } })
      const { webhooks: other } = world({ storage: second() })
      const sent: string[] = []
      let release = () => {}
      const target = await receiver(({ body }, _, response) => {
        const { data } = JSON.parse(body) as { data: { keyId: string } }
        sent.push(data.keyId)
        if (data.keyId === '1' && sent.length === 1) response.writeHead(500).end()
        else if (data.keyId === '2') release = () => response.end()
        else response.end()
      })
      await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const publish = (keyId: string) => webhooks.publish({ ...keyCreated, data: { keyId }, orderingKey: 'a' })
      await publish('1')
      expect(await webhooks.drain()).toMatchObject({ deadLettered: 1 })
      await publish('2')
      const draining = webhooks.drain()
      await expect.poll(() => sent).toEqual(['1', '2'])
      const [dead] = (await other.deadLetters.list(scope)).data
      await other.deadLetters.redrive(scope, dead?.id ?? '')
      expect(await other.drain()).toMatchObject({ delivered: 0 })
      release()
      await draining
      await other.drain()
      expect(sent).toEqual(['1', '2', '1'])
      await close()
    })

    it('that keeps an order is sent what takes the place of another when the attempt under way has ended', async () => {
      const { storage, second, close } = await open()
      const { webhooks } = world({ storage })
      const { webhooks: other } = world({ storage: second() })
      const sent: string[] = []
      let release = () => {}
      const target = await receiver(({ body }, _, response) => {
        const { keyId } = (JSON.parse(body) as { data: { keyId: string } }).data
        sent.push(keyId)
        if (keyId === 'old') release = () => response.writeHead(500).end()
        else response.end()
      })
      await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const keys = { orderingKey: 'a', coalesceKey: 'c' }
      const publish = (keyId: string) => webhooks.publish({ ...keyCreated, ...keys, data: { keyId } })
      await publish('old')
      const draining = webhooks.drain()
      await expect.poll(() => sent).toEqual(['old'])
      await publish('new')
      expect(await other.drain()).toMatchObject({ delivered: 0 })
      release()
      await draining
      await other.drain()
      expect(sent).toEqual(['old', 'new'])
      await close()
    })

    it('that keeps an order gets a batch in the order it was given, whatever keys its messages have', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { target, seen } = await keyReceiver()
      await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const one = (keyId: string, more: object = {}) => ({
        ...keyCreated,
        data: { keyId },
        orderingKey: 'k',
        ...more,
      })
      const batch = [
        one('1', { idempotencyKey: 'i' }),
        one('2'),
        one('3'),
        one('4', { coalesceKey: 'c' }),
        one('5', { idempotencyKey: 'j' }),
        one('6'),
      ]
      const answers = await webhooks.publishBatch(batch)
      expect(answers.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1, 1, 1, 1])
      expect(await webhooks.drain()).toMatchObject({ delivered: 6 })
      expect(seen).toEqual(['1', '2', '3', '4', '5', '6'])
      await close()
    })

    it('that keeps an order is not overtaken by what is fanned out at once', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { target, seen } = await keyReceiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url, ordering: 'key' })
      const [stored] = await storage.read(({ endpoints }) => endpoints.byIds([id]))
      if (!stored) throw new Error('it was just created')
      const others = Array.from({ length: 100 }, (_, n) => `ep_${String(n).padStart(6, '0')}`)
      await storage.run(async ({ endpoints }) => {
        for (const other of others) {
          await endpoints.insert({ ...stored, id: other, eventTypes: ['key.revoked'], ordering: null })
        }
      })
      const publish = (keyId: string, orderingKey?: string) =>
        webhooks.publish({ ...keyCreated, data: { keyId }, ...(orderingKey && { orderingKey }) })
      expect(await publish('1', 'k')).toMatchObject({ deliveries: null })
      await webhooks.endpoints.delete(scope, others[0] ?? '')
      expect(await publish('2', 'k')).toMatchObject({ deliveries: null })
      expect(await publish('free')).toMatchObject({ deliveries: 1 })
      const batch = ['3', '4'].map((keyId) => ({ ...keyCreated, data: { keyId }, orderingKey: 'k' }))
      expect(await webhooks.publishBatch(batch)).toMatchObject([{ deliveries: null }, { deliveries: null }])
      expect(await webhooks.drain()).toMatchObject({ delivered: 5 })
      expect(seen.filter((keyId) => keyId !== 'free')).toEqual(['1', '2', '3', '4'])
      expect(await publish('5', 'k')).toMatchObject({ deliveries: 1 })
      await close()
    })

    it('that keeps an order goes on at once when the first is taken back', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage, retry: { scheduleMs: [0, 60_000] } })
      const seen: string[] = []
      const target = await receiver(({ body }, _, response) => {
        const { keyId } = (JSON.parse(body) as { data: { keyId: string } }).data
        if (!keyId.startsWith('bad')) seen.push(keyId)
        response.writeHead(keyId.startsWith('bad') ? 500 : 200).end()
      })
      await webhooks.endpoints.create(scope, { url: target.url, ordering: 'endpoint' })
      const publish = (keyId: string, coalesceKey?: string) =>
        webhooks.publish({ ...keyCreated, data: { keyId }, ...(coalesceKey && { coalesceKey }) })
      const takeBack = [
        ({ messageId }: { messageId: string }) => webhooks.messages.cancel(scope, messageId),
        ({ messageId }: { messageId: string }) => webhooks.messages.expunge(scope, messageId),
        () => publish('newer', 'c'),
      ]
      for (const [n, work] of takeBack.entries()) {
        const first = await publish(`bad ${n}`, 'c')
        await publish(`behind ${n}`)
        expect(await webhooks.drain()).toMatchObject({ rescheduled: 1, delivered: 0 })
        await work(first)
        await webhooks.drain()
      }
      expect(seen).toEqual(['behind 0', 'behind 1', 'behind 2', 'newer'])
      await close()
    })

    it('that keeps an order goes on when the first is given up or canceled', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage, retry: { scheduleMs: [0, 60_000] } })
      const bad = new Set(['1', '2'])
      const target = await receiver(({ body }, _, response) => {
        const { data } = JSON.parse(body) as { data: { keyId: string } }
        response.writeHead(bad.has(data.keyId) ? 500 : 200).end()
      })
      const own = { url: target.url, ordering: 'endpoint' as const, retryScheduleMs: [0] }
      const { id } = await webhooks.endpoints.create(scope, own)
      await webhooks.publishBatch(['1', '2', '3'].map((keyId) => ({ ...keyCreated, data: { keyId } })))
      expect(await webhooks.drain()).toMatchObject({ deadLettered: 2, delivered: 1 })

      await webhooks.endpoints.update(scope, id, { retryScheduleMs: null })
      const [first] = await webhooks.publishBatch(['1', '4'].map((keyId) => ({ ...keyCreated, data: { keyId } })))
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1, delivered: 0 })
      const [waiting] = (await webhooks.deliveries.list(scope, { messageId: first?.messageId })).data
      await webhooks.deliveries.cancel(scope, waiting?.id ?? '')
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      await close()
    })
  })
}
