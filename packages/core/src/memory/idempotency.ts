import type { IdempotencyRecord, IdempotencyStore } from '../idempotency.js'
import type { MemoryTransaction } from './database.js'
import { type MemoryRows, MemoryTable } from './table.js'

/** Idempotency keys in memory. */
export function memoryIdempotency(rows: MemoryRows<IdempotencyRecord>, tx: MemoryTransaction): IdempotencyStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  return {
    async claim(record, now) {
      table.remove((row) => row.id === record.id && row.expiresAt <= now)
      return table.insertUnlessExists(record) ? null : table.get(record.id)
    },
    complete: async (id, response) => void table.update((row) => row.id === id, { response }),
    purge: async (now) => void table.remove((row) => row.expiresAt <= now),
  }
}
