import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { StoredMessage } from '../../messages/schema.js'
import type { MessageStore } from '../../messages/store.js'

export function memoryMessages(rows: MemoryRows<StoredMessage>, tx: MemoryTransaction): MessageStore {
  const table = new MemoryTable(rows, tx, {
    key: (row) => row.id,
    unique: [(row) => (row.idempotencyKey === null ? null : JSON.stringify([row.tenantId, row.idempotencyKey]))],
  })
  return {
    insertOrFind: async (message) => {
      const { tenantId, idempotencyKey } = message
      const keyed = (row: StoredMessage) => row.tenantId === tenantId && row.idempotencyKey === idempotencyKey
      const earlier = idempotencyKey === null ? null : table.find(keyed)
      if (!earlier) table.insert(message)
      return earlier
    },
    async get(tenantId, id) {
      const row = table.get(id)
      return row?.tenantId === tenantId ? row : null
    },
    byIds: async (ids) => ids.flatMap((id) => table.get(id) ?? []),
  }
}
