import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { Subscription } from '../../subscriptions/schema.js'
import type { SubscriptionStore } from '../../subscriptions/store.js'
import { owned } from './rows.js'

export function memorySubscriptions(rows: MemoryRows<Subscription>, tx: MemoryTransaction): SubscriptionStore {
  const table = new MemoryTable(rows, tx, {
    key: (row) => row.id,
    unique: [(row) => row.liveSlot && JSON.stringify([row.tenantId, row.liveSlot])],
  })
  return {
    insert: async (subscription) => table.insertUnlessExists(subscription),
    get: async (tenantId, id) => owned(table.get(id), tenantId),
    live: async (tenantId, slot) => table.find((row) => row.tenantId === tenantId && row.liveSlot === slot),
    lock: async (tenantId, id) => owned(table.get(id), tenantId),
    update: async (subscription) => void table.replace(subscription),
    remove: async (id) => void table.delete(id),
    list: async (tenantId, { status }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && (status === undefined || row.status === status)),
        slice,
      ),
    due: async (now, { limit, after }) =>
      table
        .filter((row) => row.liveSlot !== null && row.currentPeriodEnd <= now && row.status !== 'incomplete')
        .filter((row) => !after || compare([row.currentPeriodEnd, row.id], after) > 0)
        .sort((a, b) => compare([a.currentPeriodEnd, a.id], [b.currentPeriodEnd, b.id]))
        .slice(0, limit),
  }
}

function compare(a: readonly [number, string], b: readonly [number, string]): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0)
}
