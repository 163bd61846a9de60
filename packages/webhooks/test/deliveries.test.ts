import { createEmit, createRuntime, isProblem } from '@org/core'
import { defaultScheduleMs, memoryStorage } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { createDeliveries } from '../src/deliveries/service.js'
import { claim } from '../src/testing/fixtures.js'
import { type Answer, receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const codeOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? error.code : error
}

const failing: Answer = (_, __, response) => response.writeHead(500).end('sorry')

/** Answers with each status in turn, and with the last one from then on. */
const answers = (...statuses: number[]): Answer => {
  let next = 0
  return (_, __, response) => response.writeHead(statuses[Math.min(next++, statuses.length - 1)] ?? 200).end()
}

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`deliveries on ${name}`, () => {
    it('are tried ten times over the schedule and then wait as dead letters', async () => {
      const { storage, close } = await open()
      const { webhooks, clock, events } = world({ storage })
      const target = await receiver(failing)
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      const [pending] = (await webhooks.deliveries.list(scope)).data
      const id = pending?.id ?? ''
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
      for (const [step, delay] of defaultScheduleMs.slice(1).entries()) {
        const { attempts, nextAttemptAt } = await webhooks.deliveries.get(scope, id)
        expect([attempts, nextAttemptAt]).toEqual([step + 1, clock.now() + delay])
        clock.advance(delay - 1)
        await webhooks.drain()
        expect(target.received.length).toBe(step + 1)
        clock.advance(1)
        await webhooks.drain()
      }
      const dead = {
        id,
        status: 'dead_letter',
        attempts: 10,
        nextAttemptAt: null,
        lastStatus: 500,
        endedAt: clock.now(),
      }
      expect((await webhooks.deadLetters.list(scope)).data).toMatchObject([dead])
      expect((await webhooks.deadLetters.list({ tenantId: 't2' })).data).toEqual([])
      expect(target.received.length).toBe(10)
      expect(events.filter(({ type }) => type === 'delivery.dead_lettered')).toMatchObject([
        { tenantId: 't1', resource: { type: 'delivery', id }, data: { eventType: 'key.created', attempts: 10 } },
      ])
      const { data: log, next } = await webhooks.deliveries.attempts(scope, id, { limit: 4 })
      expect(log.map(({ number }) => number)).toEqual([10, 9, 8, 7])
      const rest = await webhooks.deliveries.attempts(scope, id, { limit: 250, cursor: next ?? '' })
      expect(rest.data.map(({ number }) => number)).toEqual([6, 5, 4, 3, 2, 1])
      expect(log[0]).toMatchObject({ error: 'http_status', responseBody: 'sorry', url: target.url })
      expect(JSON.stringify(log)).not.toContain('whsec_')
      clock.advance(30 * 86_400_000)
      expect(await webhooks.drain()).toMatchObject({ delivered: 0, rescheduled: 0, deadLettered: 0 })
      await close()
    })

    it('are redriven from the beginning of the schedule, or given up', async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage, retry: { scheduleMs: [0, 0] } })
      const target = await receiver(answers(500, 500, 500, 500, 200))
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1, deadLettered: 1 })
      const [dead] = (await webhooks.deadLetters.list(scope)).data
      const id = dead?.id ?? ''
      expect(await webhooks.deadLetters.redrive(scope, id)).toMatchObject({ status: 'pending', endedAt: null })
      expect(await codeOf(webhooks.deadLetters.redrive(scope, id))).toBe('not_found')
      expect(await codeOf(webhooks.deadLetters.discard(scope, id))).toBe('not_found')
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1, deadLettered: 1 })
      expect(await webhooks.deadLetters.discard(scope, id)).toMatchObject({ status: 'discarded' })
      expect((await webhooks.deadLetters.list(scope)).data).toEqual([])
      expect(await webhooks.deliveries.retry(scope, id)).toMatchObject({ status: 'pending' })
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      expect(await webhooks.deliveries.get(scope, id)).toMatchObject({
        status: 'delivered',
        attempts: 5,
        lastError: null,
      })
      expect(events.map(({ type }) => type).filter((type) => type.startsWith('delivery.'))).toEqual([
        'delivery.dead_lettered',
        'delivery.redriven',
        'delivery.dead_lettered',
        'delivery.discarded',
        'delivery.retried',
      ])
      await close()
    })

    it('are retried at once, canceled, and sent again after they were delivered', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const target = await receiver(answers(500, 200))
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      await webhooks.drain()
      const [{ id } = { id: '' }] = (await webhooks.deliveries.list(scope)).data
      await webhooks.deliveries.retry(scope, id)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      expect(await codeOf(webhooks.deliveries.cancel(scope, id))).toBe('delivery_ended')
      await webhooks.deliveries.retry(scope, id)
      expect(await webhooks.deliveries.cancel(scope, id)).toMatchObject({ status: 'canceled', nextAttemptAt: null })
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      expect(new Set(target.ids()).size).toBe(1)
      const other = { tenantId: 't2' }
      const { get, attempts, retry, cancel } = webhooks.deliveries
      const { redrive, discard } = webhooks.deadLetters
      const calls = [get, attempts, retry, cancel, redrive, discard].map((call) => codeOf(call(other, id)))
      expect(new Set(await Promise.all(calls))).toEqual(new Set(['not_found']))
      await close()
    })

    it('are sent anew if they are retried after a cancel, whatever became of the worker that had them', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const target = await receiver()
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: target.url })
      const { messageId } = await webhooks.publish(keyCreated)
      const leaseUntil = clock.now() + 60_000
      const rooms = new Map([[endpointId, 1]])
      const { deliveries } = await claim(storage, { now: clock.now(), rooms, leaseUntil })
      const id = deliveries[0]?.id ?? ''
      await webhooks.messages.cancel(scope, messageId)
      expect(await codeOf(webhooks.deliveries.retry(scope, id))).toBe('delivery_in_flight')
      clock.advance(60_000)
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      await webhooks.deliveries.retry(scope, id)
      const [again] = await storage.read((stores) => stores.deliveries.list('t1', {}, { limit: 1, after: null }))
      expect(again).toMatchObject({ status: 'pending', step: 0, leaseToken: null, leaseUntil: null, lost: 0 })
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      await close()
    })

    it('are fenced: whoever outlived its lease changes nothing', async () => {
      const { storage, close } = await open()
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      let calls = 0
      const target = await receiver(async (_, __, response) => {
        const isFirst = ++calls === 1
        if (isFirst) await held
        response.writeHead(isFirst ? 200 : 500).end()
      })
      const { webhooks, clock } = world({ storage })
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      const slow = webhooks.drain()
      await expect.poll(() => target.received.length).toBe(1)
      const [{ id } = { id: '' }] = (await webhooks.deliveries.list(scope)).data
      expect(await codeOf(webhooks.deliveries.retry(scope, id))).toBe('delivery_in_flight')
      clock.advance(79_999)
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 0 })
      clock.advance(1)
      expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
      release()
      expect(await slow).toMatchObject({ delivered: 0, rescheduled: 0 })
      expect(await webhooks.deliveries.get(scope, id)).toMatchObject({
        status: 'pending',
        attempts: 2,
        lastStatus: 500,
      })
      const { data: log } = await webhooks.deliveries.attempts(scope, id)
      expect(log.map(({ number, error }) => [number, error])).toEqual([
        [2, 'http_status'],
        [1, 'worker_lost'],
      ])
      await close()
    })

    it('that are canceled while they are being sent are delivered if they arrive, and never retried', async () => {
      const { storage, close } = await open()
      for (const [status, outcome] of [
        [200, 'delivered'],
        [500, 'canceled'],
      ] as const) {
        const { webhooks } = world({ storage })
        const only = async () => (await webhooks.deliveries.list(scope, { endpointId: id })).data[0]?.id ?? ''
        const target = await receiver(async (_, __, response) => {
          await webhooks.deliveries.cancel(scope, await only())
          response.writeHead(status).end()
        })
        const { id } = await webhooks.endpoints.create(scope, { url: target.url })
        await webhooks.publish(keyCreated)
        await webhooks.drain()
        const { data } = await webhooks.deliveries.list(scope, { endpointId: id })
        expect(data).toMatchObject([{ status: outcome, attempts: 1, lastStatus: status, nextAttemptAt: null }])
        await webhooks.endpoints.delete(scope, id)
      }
      await close()
    })

    it('is not begun when it could still be under way near the end of its lease', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      let claimedAgo = 0
      const claiming = () => {
        const { run } = storage
        storage.run = (work, ...rest) =>
          run(
            (stores, tx) => {
              const claim: typeof stores.deliveries.claim = async (request) => {
                const claimed = await stores.deliveries.claim(request)
                clock.advance(claimedAgo)
                return claimed
              }
              return work({ ...stores, deliveries: { ...stores.deliveries, claim } }, tx)
            },
            ...rest,
          )
        return () => {
          storage.run = run
        }
      }
      const restore = claiming()
      // The deadline is 20 s, and 40 s of the 80 s of a lease are for writing down and for clocks that differ.
      claimedAgo = 20_001
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      expect(target.received).toEqual([])
      claimedAgo = 20_000
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      const [delivery] = (await webhooks.deliveries.list(scope, { endpointId: id })).data
      expect(delivery?.attempts).toBe(1)
      restore()
      await close()
    })

    it('is made by a drain also while other workers hold what a hundred other endpoints have', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const target = await receiver()
      const now = clock.now()
      const ids: string[] = []
      for (let n = 0; n < 100; n++) {
        const tenant = { ...scope, tenantId: `t${n}` }
        ids.push((await webhooks.endpoints.create(tenant, { url: target.url })).id)
        await webhooks.publish({ ...keyCreated, tenantId: `t${n}` })
      }
      const rooms = new Map(ids.map((id) => [id, 1]))
      const none = new Set<string>()
      const lease = { now, dueBy: now, rooms, ordered: none, counted: none, token: 'other', leaseUntil: now + 60_000 }
      await storage.run(({ deliveries }) => deliveries.claim(lease))
      await webhooks.endpoints.create({ ...scope, tenantId: 'last' }, { url: target.url })
      await webhooks.publish({ ...keyCreated, tenantId: 'last' })
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      await close()
    })

    it('whose workers die of them end as dead letters', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, retry: { scheduleMs: [0, 0, 0] } })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      for (let n = 0; n < 22; n++) {
        const now = clock.now()
        const none = new Set<string>()
        const rooms = new Map([[id, 1]])
        const lease = { token: `lease_${n}`, leaseUntil: now + 60_000 }
        const request = { now, dueBy: now, rooms, ordered: none, counted: none, ...lease }
        await storage.run(({ deliveries }) => deliveries.claim(request))
        clock.advance(60_000)
      }
      expect(await webhooks.drain()).toMatchObject({ deadLettered: 1 })
      expect(target.received).toEqual([])
      const [dead] = (await webhooks.deadLetters.list(scope)).data
      expect(dead?.attempts).toBe(22)
      const { data: log } = await webhooks.deliveries.attempts(scope, dead?.id ?? '')
      expect(log[0]).toMatchObject({ number: 22, error: 'worker_lost', status: null })
      await close()
    })

    it('of a 410 wait until the endpoint is enabled again', async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage })
      const target = await receiver(answers(410, 200))
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ held: 1 })
      await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ held: 1 })
      const disabled = events.filter(({ type }) => type === 'endpoint.disabled')
      expect(disabled).toMatchObject([{ actor: { type: 'system' }, after: { disabledReason: 'gone' } }])
      expect(await webhooks.endpoints.enable(scope, id)).toMatchObject({ enabled: true, disabledReason: null })
      expect(await webhooks.drain()).toMatchObject({ delivered: 2 })
      await close()
    })
  })
}

describe('a 410', () => {
  it('to the last attempt of the schedule does not use it up', async () => {
    const { webhooks } = world({ retry: { scheduleMs: [0] } })
    const target = await receiver(answers(410, 200))
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ held: 1 })
    await webhooks.endpoints.enable(scope, id)
    expect(await webhooks.drain()).toMatchObject({ delivered: 1, deadLettered: 0 })
  })

  it('of a URL that was replaced meanwhile does not disable the endpoint', async () => {
    const { webhooks } = world()
    const next = await receiver()
    const gone = await receiver(async (_, __, response) => {
      await webhooks.endpoints.update(scope, id, { url: next.url })
      response.writeHead(410).end()
    })
    const { id } = await webhooks.endpoints.create(scope, { url: gone.url })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
    expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ enabled: true })
    expect(next.received.length).toBe(1)
  })
})

describe('a drain', () => {
  it('keeps one bad endpoint from the rest, and delivers each message once', async () => {
    const { webhooks } = world()
    const [good, bad] = [await receiver(), await receiver(failing)]
    await webhooks.endpoints.create(scope, { url: bad.url })
    await webhooks.endpoints.create(scope, { url: good.url })
    for (let n = 0; n < 150; n++) await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 150, rescheduled: 150 })
    expect(new Set(good.ids()).size).toBe(150)
  })

  it('does not chase what comes due after it began', async () => {
    const storage = memoryStorage()
    const { webhooks, clock } = world({ storage })
    const target = await receiver(async (_, __, response) => {
      clock.advance(1)
      if (target.received.length < 10) await webhooks.publish(keyCreated)
      response.end()
    })
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
  })

  it('fails with the error of what it could not write, and loses nothing', async () => {
    const storage = memoryStorage()
    let refusing = true
    const events = () => {
      if (refusing) throw new Error('a sink refused')
    }
    const { webhooks, clock } = world({ storage, events, retry: { scheduleMs: [0] } })
    const target = await receiver(failing)
    refusing = false
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    refusing = true
    await expect(webhooks.drain()).rejects.toThrow('a sink refused')
    refusing = false
    clock.advance(80_000)
    expect(await webhooks.drain()).toMatchObject({ deadLettered: 1 })
  })
})

it('workers are told when what others may wait behind is canceled', async () => {
  const storage = memoryStorage()
  const { webhooks, clock } = world({ storage })
  const { id: endpointId } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
  await webhooks.publish(keyCreated)
  const [delivery] = (await webhooks.deliveries.list(scope)).data
  const woken: string[] = []
  const runtime = createRuntime({ clock })
  const wake = (ids: readonly string[] = []) => void woken.push(...ids)
  const { cancel } = createDeliveries({ storage, runtime, emit: createEmit(runtime, () => {}), wake })
  await cancel(scope, delivery?.id ?? '')
  expect(woken).toEqual([endpointId])
})
