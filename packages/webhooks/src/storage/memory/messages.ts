import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { StoredMessage } from '../../messages/schema.js'
import type { MessageStore, PublishedPlace, PublishedQuery } from '../../messages/store.js'

export function memoryMessages(rows: MemoryRows<StoredMessage>, tx: MemoryTransaction): MessageStore {
  const table = new MemoryTable(rows, tx, {
    key: (row) => row.id,
    unique: [(row) => (row.idempotencyKey === null ? null : JSON.stringify([row.tenantId, row.idempotencyKey]))],
  })
  const toFanOut = () => table.filter((row) => row.fanOutAfter !== null)
  const published = ({ tenantId, since, until, upTo }: PublishedQuery) =>
    [...rows.values()]
      .filter((row) => row.tenantId === tenantId && inOrder(row, upTo) <= 0)
      .filter((row) => row.createdAt >= (since ?? row.createdAt) && (until === null || row.createdAt < until))
  return {
    insertOrFind: async (message) => {
      const { tenantId, idempotencyKey } = message
      const keyed = (row: StoredMessage) => row.tenantId === tenantId && row.idempotencyKey === idempotencyKey
      const earlier = idempotencyKey === null ? null : table.find(keyed)
      if (!earlier) table.insert(message)
      return earlier
    },
    insert: async (messages) => {
      for (const message of messages) table.insert(message)
    },
    async get(tenantId, id) {
      const row = table.get(id)
      return row?.tenantId === tenantId ? row : null
    },
    byIds: async (ids) => ids.flatMap((id) => table.get(id) ?? []),
    withPayload: async (ids) => ids.filter((id) => (rows.get(id)?.body ?? null) !== null),
    published: async (query, { limit, after }) =>
      published(query)
        .filter((row) => after === null || inOrder(row, after) > 0)
        .sort(inOrder)
        .slice(0, limit)
        .map(({ id, type, channels, orderingKey, coalesceKey, test, fanOutAfter, createdAt }) => {
          return { id, type, channels, orderingKey, coalesceKey, test, fanOutAfter, createdAt }
        }),
    countPublished: async (query, limit) => Math.min(published(query).length, limit),
    lastPublished: async (tenantId) => {
      const last = [...rows.values()]
        .filter((row) => row.tenantId === tenantId)
        .sort(inOrder)
        .at(-1)
      return last ? { createdAt: last.createdAt, id: last.id } : null
    },
    stopFanOut: async ({ id, tenantId, coalesceKey }) =>
      void table.update(
        (row) =>
          row.fanOutAfter !== null && row.tenantId === tenantId && row.coalesceKey === coalesceKey && row.id !== id,
        { fanOutAfter: null },
      ),
    async toFanOut(limit) {
      const oldest = new Map<string, StoredMessage>()
      for (const row of toFanOut().sort((a, b) => (a.id < b.id ? -1 : 1))) {
        if (!oldest.has(row.tenantId)) oldest.set(row.tenantId, row)
      }
      return [...oldest.values()].slice(0, limit)
    },
    anyToFanOut: async (tenantId) => toFanOut().some((row) => row.tenantId === tenantId),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
  }
}

const inOrder = (a: PublishedPlace, b: PublishedPlace) =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
