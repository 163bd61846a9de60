/** The delivery log and its attempts. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { WebhooksStorage } from '../storage/port.js'
import { addDeliveries, attempt, delivery } from './fixtures.js'

export const deliveryCases: readonly ContractCase<WebhooksStorage>[] = [
  contractCase('locks and patches many', async ({ storage }) => {
    await addDeliveries(storage, delivery({ id: 'del_1' }), delivery({ id: 'del_2' }), delivery({ id: 'del_3' }))
    await storage.run(async ({ deliveries }) => {
      const locked = await deliveries.lockAll(['del_1', 'del_2', 'del_9'])
      assert.deepEqual(locked.map(({ id }) => id).sort(), ['del_1', 'del_2'])
      await deliveries.updateAll(['del_1', 'del_2'], { status: 'delivered', endedAt: 9, lastStatus: 204 })
      assert.equal((await deliveries.lock('t1', 'del_3'))?.status, 'pending')
      assert.equal(await deliveries.lock('t2', 'del_3'), null)
      await deliveries.update('del_3', { status: 'canceled', lastError: 'timeout' })
    })
    const list = await storage.read(({ deliveries }) => deliveries.list('t1', {}, { limit: 9, after: null }))
    assert.deepEqual(list, [
      delivery({ id: 'del_3', status: 'canceled', lastError: 'timeout' }),
      delivery({ id: 'del_2', status: 'delivered', endedAt: 9, lastStatus: 204 }),
      delivery({ id: 'del_1', status: 'delivered', endedAt: 9, lastStatus: 204 }),
    ])
  }),

  contractCase('filters the list', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', endpointId: 'ep_2' }),
      delivery({ id: 'del_2', messageId: 'msg_2' }),
      delivery({ id: 'del_3', eventType: 'key.revoked' }),
      delivery({ id: 'del_4', status: 'dead_letter' }),
      delivery({ id: 'del_5', tenantId: 't2' }),
    )
    const ids = (filter: object) =>
      storage
        .read(({ deliveries }) => deliveries.list('t1', filter, { limit: 9, after: null }))
        .then((rows) => rows.map(({ id }) => id))
    assert.deepEqual(await ids({}), ['del_4', 'del_3', 'del_2', 'del_1'])
    assert.deepEqual(await ids({ endpointId: 'ep_2', status: undefined }), ['del_1'])
    assert.deepEqual(await ids({ messageId: 'msg_2' }), ['del_2'])
    assert.deepEqual(await ids({ eventType: 'key.revoked' }), ['del_3'])
    assert.deepEqual(await ids({ status: 'dead_letter' }), ['del_4'])
    assert.deepEqual(await ids({ status: 'dead_letter', endpointId: 'ep_2' }), [])
  }),

  contractCase('releases and cancels what an endpoint has', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', status: 'held' }),
      delivery({ id: 'del_2', status: 'held', endpointId: 'ep_2' }),
      delivery({ id: 'del_3', status: 'pending', leaseToken: 'lease_1' }),
      delivery({ id: 'del_4', status: 'dead_letter' }),
    )
    await storage.run(({ deliveries }) => deliveries.releaseHeld('ep_1', 70))
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

  contractCase('logs attempts, the latest first', async ({ storage }) => {
    const rows = [1, 2, 10].map((number) => attempt({ number, responseBody: 'naïve 🪝 "quoted"' }))
    await storage.run(async ({ deliveries }) => {
      await deliveries.insertAttempts([])
      await deliveries.insertAttempts([...rows, attempt({ deliveryId: 'del_2', error: 'timeout', status: null })])
    })
    const list = (after: [number] | null) =>
      storage.read(({ deliveries }) => deliveries.attempts('del_1', { limit: 2, after }))
    assert.deepEqual(await list(null), [rows[2], rows[1]])
    assert.deepEqual(await list([2]), [rows[0]])
  }),

  contractCase('inserts thousands of deliveries at once', async ({ storage }) => {
    await addDeliveries(
      storage,
      ...Array.from({ length: 1200 }, (_, n) => delivery({ id: `del_${n}`, endpointId: `ep_${n}` })),
    )
    const agenda = await storage.read(({ deliveries }) => deliveries.agenda())
    assert.equal(agenda.length, 1200)
  }),

  contractCase('writes to each delivery its own values', async ({ storage }) => {
    await addDeliveries(storage, ...[1, 2, 3].map((n) => delivery({ id: `del_${n}` })))
    await storage.run(async ({ deliveries }) => {
      await deliveries.updateEach([])
      await deliveries.updateEach([
        { id: 'del_1', status: 'dead_letter', dueAt: 5, lastError: 'timeout', endedAt: 1_767_225_600_000 },
        { id: 'del_2', status: 'pending', dueAt: 6, lastError: null, endedAt: null },
      ])
    })
    const rows = await storage.read(({ deliveries }) => deliveries.list('t1', {}, { limit: 9, after: null }))
    assert.deepEqual(rows, [
      delivery({ id: 'del_3' }),
      delivery({ id: 'del_2', dueAt: 6 }),
      delivery({ id: 'del_1', status: 'dead_letter', dueAt: 5, lastError: 'timeout', endedAt: 1_767_225_600_000 }),
    ])
  }),

  contractCase('cancels and counts what a message has still to be sent', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1' }),
      delivery({ id: 'del_2', status: 'held' }),
      delivery({ id: 'del_3', leaseToken: 'lease_1', leaseUntil: 7 }),
      delivery({ id: 'del_4', status: 'delivered' }),
      delivery({ id: 'del_5', messageId: 'msg_2' }),
    )
    await storage.run(async ({ deliveries }) => {
      const canceled = await deliveries.cancelOf(['msg_1', 'msg_9'], 80)
      assert.deepEqual(canceled.map(({ id }) => id).sort(), ['del_1', 'del_2'])
      assert.deepEqual(await deliveries.cancelOf(['msg_1'], 90), [])
      assert.equal(await deliveries.countOf('msg_1'), 4)
      assert.equal(await deliveries.countOf('msg_9'), 0)
      assert.deepEqual(await deliveries.get('t1', 'del_2'), delivery({ id: 'del_2', status: 'canceled', endedAt: 80 }))
    })
  }),
]
