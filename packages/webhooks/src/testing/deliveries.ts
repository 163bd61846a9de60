/** The delivery log, its attempts, and what is counted of them. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { DeliveryFilter, StoredDelivery } from '../deliveries/schema.js'
import type { DeliverySlice } from '../deliveries/store.js'
import { hourMs, type StoredStats } from '../stats/schema.js'
import type { CountedStatus } from '../stats/store.js'
import { emptyStats } from '../stats/tally.js'
import type { WebhooksStorage } from '../storage/port.js'
import { addDeliveries, attempt, delivery, message } from './fixtures.js'

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

  contractCase('filters the list by time, and between two ids', async ({ storage }) => {
    await addDeliveries(storage, ...[1, 2, 3, 4].map((n) => delivery({ id: `del_${n}`, createdAt: n * 10 })))
    const ids = async (filter: object, slice: object = {}) => {
      const rows = await storage.read(({ deliveries }) =>
        deliveries.list('t1', filter, { limit: 9, after: null, ...slice }),
      )
      return rows.map(({ id }) => id)
    }
    assert.deepEqual(await ids({ since: 20, until: 40 }), ['del_3', 'del_2'])
    assert.deepEqual(await ids({ until: 20, status: 'pending' }), ['del_1'])
    assert.deepEqual(await ids({}, { from: 'del_2', after: ['del_4'] }), ['del_3', 'del_2'])
  }),

  contractCase('looks at a part of a long list, and leaves nothing out', async ({ storage }) => {
    const statuses = ['canceled', 'pending', 'held', 'dead_letter', 'delivered'] as const
    const rows = Array.from({ length: 40 }, (_, n) =>
      delivery({
        id: `del_${10 + n}`,
        status: statuses[n % 5] ?? 'pending',
        endpointId: n % 2 ? 'ep_1' : 'ep_2',
        messageId: `msg_${n % 4}`,
        eventType: n % 8 ? 'key.created' : 'key.revoked',
        createdAt: n,
      }),
    )
    await addDeliveries(storage, ...rows, delivery({ id: 'del_9', tenantId: 't2' }))
    const all = async (filter: DeliveryFilter) => {
      const found: string[] = []
      for (let after: [string] | null = null, turns = 0; turns < 40; turns++) {
        const slice: DeliverySlice = { after, limit: 3 }
        const [floor, page] = await storage.read(async ({ deliveries }) => {
          const down = await deliveries.lookDownTo('t1', filter, slice)
          return [down, await deliveries.list('t1', filter, { ...slice, from: down, limit: 99 })] as const
        })
        found.push(...page.map(({ id }) => id))
        if (floor === null) return found
        after = [floor]
      }
      return assert.fail('it has no end')
    }
    const filters: DeliveryFilter[] = [
      {},
      ...statuses.map((status) => ({ status })),
      ...statuses.map((status) => ({ status, endpointId: 'ep_1', since: 7 })),
      { eventType: 'key.revoked' },
      { eventType: 'key.revoked', endpointId: 'ep_2', status: 'dead_letter' },
      { messageId: 'msg_1', status: 'held', until: 30 },
      { since: 10, until: 20 },
    ]
    for (const { since = 0, until = 99, ...filter } of filters) {
      const matching = rows.filter(
        (row) =>
          row.createdAt >= since &&
          row.createdAt < until &&
          Object.entries(filter).every(([name, value]) => row[name as keyof StoredDelivery] === value),
      )
      const expected = matching.map(({ id }) => id).reverse()
      const asked = { ...filter, ...(since > 0 && { since }), ...(until < 99 && { until }) }
      assert.deepEqual([asked, await all(asked)], [asked, expected])
    }
  }),

  contractCase('adds up what came of attempts, by the hour', async ({ storage }) => {
    const row = (hour: number, part: Partial<StoredStats> = {}): StoredStats => ({
      ...emptyStats('ep_1', 't1', hour * hourMs),
      ...part,
    })
    const first = row(5, { attempts: 2, failures: 1, durationMs: 700, maxMs: 600, upTo100: 1, upTo1000: 1 })
    await storage.run(({ stats }) => stats.add([]))
    await storage.run(({ stats }) =>
      stats.add([first, row(4, { attempts: 1 }), row(7), row(4, { endpointId: 'ep_2' })]),
    )
    await storage.run(({ stats }) => stats.add([row(5, { attempts: 1, durationMs: 90, maxMs: 90, upTo100: 1 })]))
    await storage.run(async ({ stats }) => {
      const between = (since: number, until: number) => stats.between('t1', 'ep_1', since * hourMs, until * hourMs)
      const sum = row(5, { attempts: 3, failures: 1, durationMs: 790, maxMs: 600, upTo100: 2, upTo1000: 1 })
      assert.deepEqual(await between(4, 7), [row(4, { attempts: 1 }), sum])
      assert.deepEqual(await stats.between('t2', 'ep_1', 0, 9 * hourMs), [])
      assert.equal(await stats.removeBefore(4 * hourMs, 9), 0)
      assert.equal(await stats.removeBefore(6 * hourMs, 1), 1)
      assert.equal(await stats.removeBefore(6 * hourMs, 9), 1)
      assert.equal(await stats.removeBefore(6 * hourMs, 9), 1)
      assert.deepEqual(await between(0, 9), [row(7)])
    })
  }),

  contractCase('counts what waits, no further than it is told', async ({ storage }) => {
    const waiting = ['pending', 'pending', 'pending', 'held', 'dead_letter', 'delivered'] as const
    await addDeliveries(
      storage,
      ...waiting.map((status, n) => delivery({ id: `del_${n}`, status })),
      delivery({ id: 'del_8', endpointId: 'ep_2' }),
    )
    await storage.run(({ messages }) => messages.insert([message({ fanOutAfter: '' }), message({ id: 'msg_2' })]))
    await storage.read(async ({ stats }) => {
      const count = (status: CountedStatus, limit = 9) => stats.countOf('t1', 'ep_1', status, limit)
      assert.deepEqual([await count('pending'), await count('held'), await count('dead_letter')], [3, 1, 1])
      assert.deepEqual([await count('pending', 2), await stats.countOf('t2', 'ep_1', 'pending', 9)], [2, 0])
      assert.deepEqual([await stats.countFanOuts(9), await stats.countFanOuts(0)], [1, 0])
    })
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
]
