/** Deliveries that wait or were set aside: releasing them, canceling them, and looking through them. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import { cancelWaiting } from '../deliveries/cancel.js'
import type { WebhooksStorage } from '../storage/port.js'
import { addDeliveries, claim, delivery, idsOf, job, message } from './fixtures.js'

export const waitingCases: readonly ContractCase<WebhooksStorage>[] = [
  contractCase('releases and cancels what an endpoint has', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', status: 'held' }),
      delivery({ id: 'del_2', status: 'held', endpointId: 'ep_2' }),
      delivery({ id: 'del_3', status: 'pending', leaseToken: 'lease_1' }),
      delivery({ id: 'del_4', status: 'dead_letter' }),
    )
    assert.equal(await storage.run(({ deliveries }) => deliveries.releaseHeld('ep_1', 70, 9)), 1)
    const get = (id: string) => storage.read(({ deliveries }) => deliveries.get('t1', id))
    assert.deepEqual(await get('del_1'), delivery({ id: 'del_1', status: 'pending', dueAt: 70 }))
    await storage.run(({ deliveries }) => deliveries.cancelAll('ep_1', 80))
    assert.deepEqual(await get('del_1'), delivery({ id: 'del_1', status: 'canceled', dueAt: 70, endedAt: 80 }))
    assert.deepEqual(
      await get('del_3'),
      delivery({ id: 'del_3', status: 'canceled', leaseToken: 'lease_1', endedAt: 80 }),
    )
    assert.deepEqual(await get('del_2'), delivery({ id: 'del_2', status: 'held', endpointId: 'ep_2' }))
    assert.deepEqual(await get('del_4'), delivery({ id: 'del_4', status: 'dead_letter' }))
  }),

  contractCase('releases the oldest of what is held, so many at a time', async ({ storage }) => {
    const held = [4, 2, 3, 1].map((n) => delivery({ id: `del_${n}`, status: 'held', dueAt: n }))
    await addDeliveries(storage, ...held, delivery({ id: 'del_0', status: 'held', endpointId: 'ep_2' }))
    const left = async () => {
      const rows = await storage.read(({ deliveries }) =>
        deliveries.list('t1', { status: 'held' }, { limit: 9, after: null }),
      )
      return rows.map(({ id }) => id)
    }
    const release = (limit: number) => storage.run(({ deliveries }) => deliveries.releaseHeld('ep_1', 70, limit))
    assert.deepEqual([await release(3), await left()], [3, ['del_4', 'del_0']])
    assert.deepEqual([await release(3), await left()], [1, ['del_0']])
    assert.equal(await release(3), 0)
  }),

  contractCase('walks through what was set aside, and knows where that ends', async ({ storage }) => {
    const failed = delivery({ id: 'del_1', status: 'dead_letter', createdAt: 10 })
    await addDeliveries(
      storage,
      failed,
      delivery({ id: 'del_2', status: 'held', createdAt: 20 }),
      delivery({ id: 'del_3', status: 'dead_letter', createdAt: 30, messageId: 'msg_3' }),
      delivery({ id: 'del_4', status: 'dead_letter', createdAt: 40, endpointId: 'ep_2' }),
      delivery({ id: 'del_5', createdAt: 50 }),
      delivery({ id: 'del_6', status: 'dead_letter', createdAt: 60 }),
      delivery({ id: 'del_7', status: 'dead_letter', tenantId: 't2', endpointId: 'ep_7' }),
    )
    await storage.read(async ({ deliveries }) => {
      const query = { tenantId: 't1', endpointId: 'ep_1', since: null, until: null, upTo: 'del_5' }
      const both = { ...query, statuses: ['held', 'dead_letter'] as const }
      const ids = (part: object, after: [string] | null = null, limit = 9) =>
        deliveries.setAside({ ...both, ...part }, { limit, after }).then((rows) => rows.map(({ id }) => id))
      assert.deepEqual(await ids({}), ['del_1', 'del_2', 'del_3'])
      assert.deepEqual(await ids({}, null, 2), ['del_1', 'del_2'])
      assert.deepEqual(await ids({}, ['del_2']), ['del_3'])
      assert.deepEqual(await ids({ statuses: ['dead_letter'] }), ['del_1', 'del_3'])
      assert.deepEqual(await ids({ since: 20, until: 30 }), ['del_2'])
      assert.deepEqual(await ids({ endpointId: null, upTo: 'del_9' }), ['del_1', 'del_2', 'del_3', 'del_4', 'del_6'])
      const [first] = await deliveries.setAside(both, { limit: 1, after: null })
      assert.deepEqual(first, { id: 'del_1', messageId: failed.messageId, eventType: failed.eventType, createdAt: 10 })
      assert.deepEqual([await deliveries.countSetAside(both, 9), await deliveries.countSetAside(both, 2)], [3, 2])
      assert.deepEqual([await deliveries.lastId('t1', null), await deliveries.lastId('t1', 'ep_2')], ['del_6', 'del_4'])
      assert.equal(await deliveries.lastId('t3', null), null)
      assert.deepEqual((await deliveries.idsTo('ep_1', ['msg_3', 'msg_9'])).sort(), ['del_3'])
      assert.deepEqual(await deliveries.idsTo('ep_1', []), [])
    })
  }),

  contractCase('looks through old messages for what was set aside, and through old jobs', async ({ storage }) => {
    const old = { status: 'dead_letter', createdAt: 10, endedAt: 20 } as const
    await storage.run(async ({ messages, deliveries, jobs }) => {
      await messages.insert([10, 20, 90, 30].map((createdAt, n) => message({ id: `msg_${n + 1}`, createdAt })))
      await deliveries.insert([
        delivery({ id: 'del_1', ...old }),
        delivery({ id: 'del_2', ...old, endedAt: 50 }),
        delivery({ id: 'del_3', ...old, messageId: 'msg_2', status: 'held', endedAt: null, dueAt: 20 }),
        delivery({ id: 'del_4', ...old, messageId: 'msg_2', status: 'held', endedAt: null, dueAt: 50 }),
        delivery({ id: 'del_5', ...old, messageId: 'msg_2', status: 'delivered' }),
        delivery({ id: 'del_6', ...old, messageId: 'msg_4' }),
      ])
      await jobs.insert(job({ id: 'job_1', createdAt: 10, status: 'done', endedAt: 20 }))
      await jobs.insert(job({ id: 'job_2', createdAt: 20 }))
      await jobs.insert(job({ id: 'job_3', createdAt: 30, status: 'done', endedAt: 50 }))
    })
    await storage.run(async ({ retention, jobs }) => {
      const request = { after: '', limit: 9, before: 50, rows: 9 }
      const setAside = async (part: object) => {
        const { deliveryIds, last } = await retention.setAside({ ...request, ...part })
        return [deliveryIds.sort(), last]
      }
      // `msg_3` is too young, and whatever is behind it may be.
      assert.deepEqual(await setAside({}), [['del_1', 'del_3'], 'msg_2'])
      assert.deepEqual(await setAside({ limit: 1 }), [['del_1'], 'msg_1'])
      assert.deepEqual(await setAside({ after: 'msg_1', before: 51 }), [['del_3', 'del_4'], 'msg_2'])
      assert.equal((await setAside({ rows: 1 }))[0]?.length, 1)
      assert.deepEqual(await setAside({ after: 'msg_2' }), [[], null])
      assert.deepEqual(await retention.removeJobs({ after: '', limit: 9, before: 50 }), { removed: 1, last: 'job_3' })
      assert.deepEqual(await retention.removeJobs({ after: 'job_3', limit: 9, before: 60 }), { removed: 0, last: null })
      const left = await jobs.list('t1', {}, { limit: 9, after: null })
      assert.deepEqual(
        left.map(({ id }) => id),
        ['job_3', 'job_2'],
      )
    })
  }),

  contractCase('finds and counts what is still to be sent, also what is being sent', async ({ storage }) => {
    const lease = { leaseToken: 'lease_1', leaseUntil: 7, counted: true } as const
    const rows = [
      delivery({ coalesceKey: 'c' }),
      delivery({ id: 'del_2', status: 'held' }),
      delivery({ id: 'del_3', coalesceKey: 'c', ...lease }),
      delivery({ id: 'del_4', coalesceKey: 'c', status: 'delivered' }),
      delivery({ id: 'del_5', coalesceKey: 'c', messageId: 'msg_2', status: 'held' }),
      delivery({ id: 'del_6', coalesceKey: 'C', messageId: 'msg_3' }),
      delivery({ id: 'del_7', coalesceKey: 'c', messageId: 'msg_4', tenantId: 't2' }),
    ]
    await addDeliveries(storage, ...[...rows].reverse())
    await storage.run(async ({ deliveries }) => {
      assert.deepEqual(await deliveries.lockWaiting({ messageId: 'msg_1' }), rows.slice(0, 3))
      assert.deepEqual(await deliveries.lockWaiting({ messageId: 'msg_9' }), [])
      const ofKey = await deliveries.lockWaiting({ tenantId: 't1', coalesceKey: 'c' })
      assert.deepEqual(ofKey, [rows[0], rows[2], rows[4]])
      assert.deepEqual(await deliveries.lockWaiting({ tenantId: 't3', coalesceKey: 'c' }), [])
      assert.equal(await deliveries.countOf('msg_1'), 4)
      assert.equal(await deliveries.countOf('msg_9'), 0)
    })
  }),

  contractCase('never takes what was canceled while it was being sent', async ({ storage }) => {
    await addDeliveries(storage, delivery())
    assert.deepEqual(idsOf(await claim(storage)), ['del_1'])
    await storage.run((stores) => cancelWaiting(stores, { messageId: 'msg_1' }, 80))
    const canceled = await storage.read(({ deliveries }) => deliveries.get('t1', 'del_1'))
    assert.deepEqual([canceled?.status, canceled?.leaseToken, canceled?.endedAt], ['canceled', 'lease_1', 80])
    assert.deepEqual(await claim(storage, { now: 9000, token: 'lease_2', leaseUntil: 9999 }), {
      deliveries: [],
      expired: [],
    })
    const late = [{ id: 'del_1', leaseToken: 'lease_1', status: 204 }]
    await storage.run(async ({ deliveries }) => {
      assert.deepEqual([...(await deliveries.finishDelivered(late, 90))], ['del_1'])
      assert.equal((await deliveries.get('t1', 'del_1'))?.status, 'delivered')
    })
  }),
]
