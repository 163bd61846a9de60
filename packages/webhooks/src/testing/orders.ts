/** What is taken of endpoints that keep an order, however long the backlog of a key is. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import { besideOrder, type StoredDelivery } from '../deliveries/schema.js'
import type { WebhooksStorage } from '../storage/port.js'
import { addDeliveries, claim, delivery, idsOf } from './fixtures.js'

const ordered = new Set(['ep_1'])
const claimed = async (storage: WebhooksStorage, room: number, now = 1000) =>
  idsOf(await claim(storage, { ordered, now, rooms: new Map([['ep_1', room]]), leaseUntil: now + 4000 }))

const backlog = (count: number, row: Partial<StoredDelivery> = {}) =>
  Array.from({ length: count }, (_, n) =>
    delivery({ id: `del_hot${1000 + n}`, orderKey: 'hot', position: n + 1, dueAt: 1 + (n >> 4), ...row }),
  )

/** The same rows each time. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

function generated(seed: number): StoredDelivery[] {
  const roll = dice(seed)
  const statuses = ['pending', 'pending', 'pending', 'pending', 'pending', 'held', 'delivered', 'dead_letter'] as const
  return Array.from({ length: 400 }, (_, n) => {
    const key = [null, 'hot', 'hot', 'hot', 'Hot', `k${roll(12)}`][roll(6)] ?? null
    const lease = [5000, 990][roll(60)] ?? null
    const status = statuses[roll(seed % 2 ? 8 : 5)] ?? 'pending'
    return delivery({
      id: `del_${1000 + ((n * 7919) % 9000)}`,
      status,
      orderKey: key,
      position: key === null ? besideOrder : 1 + roll(300),
      dueAt: 700 + roll(340),
      ...(lease !== null &&
        status === 'pending' && { leaseToken: 'lease_0', leaseUntil: lease, counted: true as const }),
    })
  })
}

/** What a claim is to take, from its description alone. */
function expected(rows: readonly StoredDelivery[], room: number, now: number): string[] {
  const isSent = (row: StoredDelivery) => (row.leaseUntil ?? 0) > now
  const mayGo = (row: StoredDelivery) => {
    const others = rows.filter((other) => other.orderKey === row.orderKey && other.id !== row.id)
    const waiting = others.filter(({ status }) => status === 'pending' || status === 'held')
    const isBefore = (other: StoredDelivery) =>
      other.position < row.position || (other.position === row.position && other.id < row.id)
    return row.orderKey === null || !(others.some(isSent) || waiting.some(isBefore))
  }
  return rows
    .filter((row) => row.status === 'pending' && row.dueAt <= now && !isSent(row) && mayGo(row))
    .sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))
    .slice(0, room)
    .map(({ id }) => id)
    .sort()
}

export const orderCases: readonly ContractCase<WebhooksStorage>[] = [
  ...[1, 2, 3, 4, 5, 6].map((seed) =>
    contractCase<WebhooksStorage>(`takes of generated orders what is first in each, ${seed}`, async ({ storage }) => {
      let rows = generated(seed)
      await addDeliveries(storage, ...rows)
      for (let round = 0; round < 6; round++) {
        const now = 1000 + 10 * round
        const room = [3, 40, 9][round % 3] ?? 1
        const taken = await claimed(storage, room, now)
        assert.deepEqual(taken, expected(rows, room, now))
        const end = { status: 'delivered', leaseToken: null, leaseUntil: null, counted: null } as const
        const sent = taken.filter((_, n) => n % 3 > 0)
        await storage.run(({ deliveries }) => deliveries.updateAll(sent, end))
        const lease = { leaseToken: 'lease_1', leaseUntil: now + 4000, counted: true as const }
        rows = rows.map((row) =>
          sent.includes(row.id) ? { ...row, ...end } : taken.includes(row.id) ? { ...row, ...lease } : row,
        )
      }
    }),
  ),

  contractCase('lets no backlog of one key hide what else is due', async ({ storage }) => {
    await addDeliveries(
      storage,
      ...backlog(3000),
      delivery({ id: 'del_a', orderKey: 'a', position: 7, dueAt: 999 }),
      delivery({ id: 'del_b', orderKey: 'z', position: 7, dueAt: 998 }),
      delivery({ id: 'del_c', position: besideOrder, dueAt: 1000 }),
      delivery({ id: 'del_d', orderKey: 'later', position: 7, dueAt: 1001 }),
      delivery({ id: 'del_e', orderKey: 'held', position: 7, status: 'held' }),
      delivery({ id: 'del_f', orderKey: 'held', position: 8 }),
      delivery({ id: 'del_g', endpointId: 'ep_2', orderKey: 'g' }),
    )
    assert.deepEqual(await claimed(storage, 2), ['del_b', 'del_hot1000'])
    assert.deepEqual(await claimed(storage, 5), ['del_a', 'del_c'])
    assert.deepEqual(await claimed(storage, 5), [])
    await storage.run(async ({ deliveries }) => {
      await deliveries.finishDelivered([{ id: 'del_hot1000', leaseToken: 'lease_1', status: 200 }], 1000)
    })
    assert.deepEqual(await claimed(storage, 5), ['del_hot1001'])
  }),

  contractCase('looks behind a backlog of any length', async ({ storage }) => {
    const lengths = [90, 94, 95, 96, 97, 99, 100, 101, 105]
    const others = ['v', 'w', 'x', 'y', 'z'].map((key) =>
      delivery({ id: `del_${key}`, orderKey: key, position: 1, dueAt: key === 'z' ? 999 : 0 }),
    )
    const rows = lengths.flatMap((count) =>
      [...backlog(count), ...others].map((row) => ({ ...row, id: `${row.id}_${count}`, endpointId: `ep_${count}` })),
    )
    await addDeliveries(storage, ...rows)
    const ids = lengths.map((count) => `ep_${count}`)
    const taken = await claim(storage, { ordered: new Set(ids), rooms: new Map(ids.map((id) => [id, 6])) })
    const each = ['hot1000', 'v', 'w', 'x', 'y', 'z'].flatMap((id) => lengths.map((count) => `del_${id}_${count}`))
    assert.deepEqual(idsOf(taken), each.sort())
  }),

  contractCase('takes nothing of a key while another of it is being sent', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', orderKey: 'a', position: 1, status: 'dead_letter' }),
      delivery({ id: 'del_2', orderKey: 'a', position: 2 }),
      ...backlog(300, { dueAt: 950 }),
    )
    assert.deepEqual(await claimed(storage, 1), ['del_2'])
    const redriven = { status: 'pending', dueAt: 900 } as const
    await storage.run(({ deliveries }) => deliveries.update('del_1', redriven))
    assert.deepEqual(await claimed(storage, 9), ['del_hot1000'])
    // Its lease has ended: whoever goes first is the one before it.
    assert.deepEqual(await claimed(storage, 1, 6000), ['del_1'])
  }),

  contractCase('finds what was made before its endpoint kept an order', async ({ storage }) => {
    const early = { dueAt: 990 }
    await addDeliveries(
      storage,
      ...backlog(300),
      delivery({ id: 'del_1', ...early }),
      delivery({ id: 'del_2', ...early, status: 'dead_letter' }),
      delivery({ id: 'del_3', ...early, status: 'delivered' }),
      delivery({ id: 'del_4', ...early, endpointId: 'ep_2' }),
    )
    await storage.run(({ deliveries }) => deliveries.standBeside('ep_1'))
    assert.deepEqual(await claimed(storage, 9), ['del_1', 'del_hot1000'])
    await storage.run(async ({ deliveries }) => {
      const positions: unknown[] = []
      for (const id of ['del_1', 'del_2', 'del_3', 'del_4', 'del_hot1299']) {
        positions.push((await deliveries.get('t1', id))?.position)
      }
      assert.deepEqual(positions, [besideOrder, besideOrder, 0, 0, 300])
    })
  }),
]
