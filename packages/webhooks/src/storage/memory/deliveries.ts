import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import { leased, takeWithRoom } from '../../deliveries/claim.js'
import type { Attempt, StoredDelivery } from '../../deliveries/schema.js'
import type { DeliveryStore } from '../../deliveries/store.js'

export function memoryDeliveries(
  rows: MemoryRows<StoredDelivery>,
  attemptRows: MemoryRows<Attempt>,
  tx: MemoryTransaction,
): DeliveryStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  const attempts = new MemoryTable(attemptRows, tx, { key: (row) => `${row.deliveryId}/${row.number}` })
  const get = async (tenantId: string, id: string) => {
    const row = table.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  const isDue = (row: StoredDelivery, now: number) => row.status === 'pending' && row.dueAt <= now
  /** Not copied: a backlog would be, at each claim. */
  const dueRows = (now: number) => [...rows.values()].filter((row) => isDue(row, now))

  return {
    insert: async (deliveries) => {
      for (const delivery of deliveries) table.insert(delivery)
    },
    get,
    lock: get,
    lockAll: async (ids) => ids.flatMap((id) => table.get(id) ?? []),
    list: async (tenantId, filter, slice) =>
      newestFirst(
        table.filter(
          (row) =>
            row.tenantId === tenantId &&
            Object.entries(filter).every(
              ([name, value]) => value === undefined || row[name as keyof StoredDelivery] === value,
            ),
        ),
        slice,
      ),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    updateAll: async (ids, patch) => {
      const wanted = new Set(ids)
      table.update((row) => wanted.has(row.id), patch)
    },

    anyDue: async (now) => table.find((row) => isDue(row, now)) !== null,
    async claim(request) {
      const due = dueRows(request.dueBy).sort((a, b) => a.dueAt - b.dueAt)
      const room = takeWithRoom(due, new Map(request.inFlight), request.perEndpoint)
      const taken = new Map(room.slice(0, request.limit).map((row) => [row.id, row]))
      table.update(
        ({ id }) => taken.has(id),
        (row) => leased(row, request),
      )
      const before = [...taken.values()].map((row) => structuredClone(row))
      return {
        deliveries: before.map((row) => leased(row, request)),
        expired: before.filter((row) => row.leaseToken !== null),
      }
    },

    releaseHeld: async (endpointId, now) =>
      void table.update((row) => row.endpointId === endpointId && row.status === 'held', {
        status: 'pending',
        dueAt: now,
      }),
    cancelAll: async (endpointId, now) =>
      void table.update((row) => row.endpointId === endpointId && ['pending', 'held'].includes(row.status), {
        status: 'canceled',
        endedAt: now,
      }),

    insertAttempts: async (list) => {
      for (const attempt of list) attempts.insert(attempt)
    },
    attempts: async (deliveryId, { limit, after }) =>
      attempts
        .filter((row) => row.deliveryId === deliveryId && (after === null || row.number < after[0]))
        .sort((a, b) => b.number - a.number)
        .slice(0, limit),
  }
}
