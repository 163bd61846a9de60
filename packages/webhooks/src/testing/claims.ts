/** What is due, and who takes it. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { WebhooksStorage } from '../storage/port.js'
import { addDeliveries, claim, delivery, idsOf, job } from './fixtures.js'

export const claimCases: readonly ContractCase<WebhooksStorage>[] = [
  contractCase('keeps an agenda of the endpoints that have something pending', async ({ storage }) => {
    assert.deepEqual(await storage.read(({ deliveries }) => deliveries.agenda()), [])
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', dueAt: 900 }),
      delivery({ id: 'del_2', dueAt: 800 }),
      delivery({ id: 'del_3', dueAt: 1_767_225_600_000, endpointId: 'ep_3' }),
      delivery({ id: 'del_4', dueAt: 1, endpointId: 'ep_4', status: 'held' }),
      delivery({ id: 'del_5', dueAt: 1, status: 'delivered' }),
      ...Array.from({ length: 50 }, (_, n) => delivery({ id: `del_b${n}`, endpointId: `ep_b${100 + n}`, dueAt: n })),
    )
    const agenda = await storage.read(({ deliveries }) => deliveries.agenda())
    const byId = agenda.sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1))
    assert.deepEqual(byId, [
      { endpointId: 'ep_1', dueAt: 800 },
      { endpointId: 'ep_3', dueAt: 1_767_225_600_000 },
      ...Array.from({ length: 50 }, (_, n) => ({ endpointId: `ep_b${100 + n}`, dueAt: n })),
    ])
  }),

  contractCase('claims what is due, the longest due first, and counts the attempt', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', dueAt: 900 }),
      delivery({ id: 'del_2', dueAt: 800 }),
      delivery({ id: 'del_3', dueAt: 1001 }),
      delivery({ id: 'del_4', dueAt: 1, status: 'held' }),
      delivery({ id: 'del_5', dueAt: 1, status: 'delivered' }),
    )
    const first = await claim(storage, { rooms: new Map([['ep_1', 1]]) })
    const lease = { attempts: 1, step: 1, leaseToken: 'lease_1', leaseUntil: 5000 }
    assert.deepEqual(first, { deliveries: [delivery({ id: 'del_2', dueAt: 800, ...lease })], expired: [] })
    const stored = await storage.read(({ deliveries }) => deliveries.get('t1', 'del_2'))
    assert.deepEqual(stored, first.deliveries[0])
    assert.deepEqual(idsOf(await claim(storage)), ['del_1'])
    assert.deepEqual((await claim(storage)).deliveries, [])
    assert.deepEqual((await claim(storage, { rooms: new Map() })).deliveries, [])
  }),

  contractCase('claims no more than there is room for, nor what comes due later', async ({ storage }) => {
    const backlog = Array.from({ length: 30 }, (_, n) =>
      delivery({ id: `del_a${10 + n}`, endpointId: 'ep_a', dueAt: n }),
    )
    const others = ['b', 'c'].map((name) => delivery({ id: `del_${name}`, endpointId: `ep_${name}`, dueAt: 900 }))
    await addDeliveries(storage, ...backlog, ...others)
    const rooms = new Map(Object.entries({ ep_a: 2, ep_b: 5, ep_none: 3 }))
    assert.deepEqual(idsOf(await claim(storage, { rooms })), ['del_a10', 'del_a11', 'del_b'])
    assert.deepEqual(idsOf(await claim(storage, { rooms, dueBy: 3 })), ['del_a12', 'del_a13'])
  }),

  contractCase('claims an expired lease again, and tells', async ({ storage }) => {
    await addDeliveries(storage, delivery({ dueAt: 900 }))
    const first = await claim(storage, { leaseUntil: 1500 })
    assert.deepEqual((await claim(storage, { now: 1499, token: 'lease_2' })).deliveries, [])
    const second = await claim(storage, { now: 1500, token: 'lease_2' })
    assert.deepEqual(second.expired, first.deliveries)
    const lease = { attempts: 2, step: 1, lost: 1, leaseToken: 'lease_2', leaseUntil: 5000 }
    assert.deepEqual(second.deliveries, [delivery({ dueAt: 900, ...lease })])
    assert.deepEqual(await storage.read(({ deliveries }) => deliveries.get('t1', 'del_1')), second.deliveries[0])
  }),

  contractCase('claims only the first of each key of an endpoint that keeps an order', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', orderKey: 'a', position: 2 }),
      delivery({ id: 'del_2', orderKey: 'a', position: 1, status: 'held' }),
      delivery({ id: 'del_3', orderKey: 'b', position: 5 }),
      delivery({ id: 'del_4', orderKey: 'b', position: 5 }),
      delivery({ id: 'del_5', orderKey: 'c', position: 9 }),
      delivery({ id: 'del_6', orderKey: 'c', position: 8, status: 'dead_letter' }),
      delivery({ id: 'del_7', orderKey: 'a', position: 1, endpointId: 'ep_2' }),
      delivery({ id: 'del_8' }),
    )
    const ordered = new Set(['ep_1'])
    assert.deepEqual(idsOf(await claim(storage, { ordered })), ['del_3', 'del_5', 'del_8'])
    assert.deepEqual(idsOf(await claim(storage, { ordered })), [])
    await storage.run(async ({ deliveries }) => {
      await deliveries.update('del_3', { status: 'delivered', leaseToken: null, leaseUntil: null })
      await deliveries.update('del_2', { status: 'canceled' })
    })
    assert.deepEqual(idsOf(await claim(storage, { ordered })), ['del_1', 'del_4'])
  }),

  contractCase('knows the end of an order, and moves what is behind a place in it', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', orderKey: 'a', position: 1, leaseToken: 'lease_1', leaseUntil: 5000 }),
      delivery({ id: 'del_2', orderKey: 'a', position: 2 }),
      delivery({ id: 'del_3', orderKey: 'a', position: 3, dueAt: 70 }),
      delivery({ id: 'del_4', orderKey: 'a', position: 4, status: 'delivered' }),
      delivery({ id: 'del_5', orderKey: 'b', position: 9 }),
    )
    await storage.run(async ({ deliveries }) => {
      const last = await deliveries.lastInOrder('ep_1', 'a')
      assert.deepEqual([last?.position, last?.dueAt], [3, 70])
      assert.equal(await deliveries.lastInOrder('ep_1', 'z'), null)
      await deliveries.moveBehind('ep_1', 'a', 1, 2000)
    })
    const rows = await storage.read(({ deliveries }) => deliveries.list('t1', {}, { limit: 9, after: null }))
    assert.deepEqual(
      rows.map(({ id, dueAt }) => [id, dueAt]),
      [
        ['del_5', 900],
        ['del_4', 900],
        ['del_3', 2000],
        ['del_2', 2000],
        ['del_1', 900],
      ],
    )
  }),

  contractCase(
    'takes the longest due first whatever their order of ids, and of those the oldest',
    async ({ storage }) => {
      const dueAt = [5, 3, 3, 4, 3]
      await addDeliveries(storage, ...dueAt.map((due, n) => delivery({ id: `del_${9 - n}`, dueAt: due })))
      const next = async () => idsOf(await claim(storage, { rooms: new Map([['ep_1', 2]]) }))
      assert.deepEqual([await next(), await next(), await next()], [['del_5', 'del_7'], ['del_6', 'del_8'], ['del_9']])
    },
  ),

  contractCase('leases the job whose turn it is', async ({ storage }) => {
    await storage.run(async ({ jobs }) => {
      await jobs.insert(job({ id: 'job_1', turnAt: 100 }))
      await jobs.insert(
        job({ id: 'job_2', turnAt: 90, tenantId: 't2', params: { ...job().params, eventTypes: ['a.*'] } }),
      )
      await jobs.insert(job({ id: 'job_3', turnAt: 1, status: 'done', endpointId: 'ep_3' }))
    })
    const take = (now: number) =>
      storage.run(({ jobs }) => jobs.claim({ now, token: `lease_${now}`, leaseUntil: now + 50 }))
    assert.equal(await storage.read(({ jobs }) => jobs.anyToRun(1000)), true)
    const second = await take(1000)
    const lease = { leaseToken: 'lease_1000', leaseUntil: 1050, turnAt: 1000 }
    assert.deepEqual(second, { ...job({ id: 'job_2', tenantId: 't2' }), params: second?.params, ...lease })
    assert.deepEqual(second?.params.eventTypes, ['a.*'])
    assert.equal((await take(1000))?.id, 'job_1')
    assert.equal(await take(1049), null)
    assert.equal(await storage.read(({ jobs }) => jobs.anyToRun(1049)), false)
    assert.equal((await take(1050))?.id, 'job_1')
    await storage.run(async ({ jobs }) => {
      assert.deepEqual(await jobs.get('t2', 'job_2'), second)
      assert.deepEqual([await jobs.get('t1', 'job_2'), await jobs.lock('t1', 'job_2')], [null, null])
      await jobs.update('job_2', { status: 'done', reached: { createdAt: 7, id: 'msg_7' }, endedAt: 1060 })
      assert.deepEqual((await jobs.lock('t2', 'job_2'))?.reached, { createdAt: 7, id: 'msg_7' })
      const list = async (filter: object, after: [string] | null = null) =>
        (await jobs.list('t1', filter, { limit: 9, after })).map(({ id }) => id)
      assert.deepEqual(await list({}), ['job_3', 'job_1'])
      assert.deepEqual(await list({}, ['job_3']), ['job_1'])
      assert.deepEqual([await list({ status: 'running' }), await list({ endpointId: 'ep_3' })], [['job_1'], ['job_3']])
    })
    assert.equal(await take(9999).then((taken) => taken?.id), 'job_1')
  }),

  contractCase('counts what is in flight of the endpoints that are counted', async ({ storage }) => {
    await addDeliveries(
      storage,
      ...[1, 2, 3].map((n) => delivery({ id: `del_${n}` })),
      delivery({ id: 'del_4', endpointId: 'ep_2' }),
    )
    const rooms = new Map(Object.entries({ ep_1: 2, ep_2: 2 }))
    await claim(storage, { rooms, counted: new Set(['ep_1']) })
    const inFlight = (now: number) => storage.read(({ deliveries }) => deliveries.inFlight(['ep_1', 'ep_2'], now))
    assert.deepEqual([...(await inFlight(4999))], [['ep_1', 2]])
    assert.deepEqual([...(await inFlight(5000))], [])
  }),

  contractCase('ends what was delivered, only under the lease that it was sent under', async ({ storage }) => {
    const leased = { leaseToken: 'lease_1', leaseUntil: 5000, lost: 2, counted: true, lastError: 'timeout' } as const
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', ...leased }),
      delivery({ id: 'del_2', ...leased, leaseToken: 'lease_2' }),
      delivery({ id: 'del_3', ...leased, status: 'canceled', endedAt: 7 }),
      delivery({ id: 'del_4', lastError: 'timeout' }),
      delivery({ id: 'del_5', ...leased }),
    )
    const of = (id: string, status: number | null, leaseToken = 'lease_1') => ({ id, leaseToken, status })
    const sent = [of('del_5', null), of('del_4', 200), of('del_3', 202), of('del_2', 200), of('del_1', 200)]
    const missing = of('del_9', 200)
    await storage.run(async ({ deliveries }) => {
      assert.deepEqual([...(await deliveries.finishDelivered([], 9))], [])
      const finished = await deliveries.finishDelivered([...sent, missing], 9)
      assert.deepEqual([...finished].sort(), ['del_1', 'del_3', 'del_5'])
    })
    const ended = { status: 'delivered', lost: 0, counted: null, lastError: null, endedAt: 9 } as const
    const list = await storage.read(({ deliveries }) => deliveries.list('t1', {}, { limit: 9, after: null }))
    assert.deepEqual(list, [
      delivery({ id: 'del_5', ...ended, lastStatus: null }),
      delivery({ id: 'del_4', lastError: 'timeout' }),
      delivery({ id: 'del_3', ...ended, lastStatus: 202 }),
      delivery({ id: 'del_2', ...leased, leaseToken: 'lease_2' }),
      delivery({ id: 'del_1', ...ended, lastStatus: 200 }),
    ])
  }),
]
