import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Payment } from '../../payments/schema.js'
import type { PaymentStore } from '../../payments/store.js'
import { oldestFirst } from './rows.js'

export function memoryPayments(rows: MemoryRows<Payment>, tx: MemoryTransaction): PaymentStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  return {
    insert: async (payment) => table.insert(payment),
    of: async (invoiceId) => table.filter((row) => row.invoiceId === invoiceId),
    settle: async (id, outcome) => table.update((row) => row.id === id && row.status === 'pending', outcome) > 0,
    removeOf: async (invoiceId) => void table.remove((row) => row.invoiceId === invoiceId),
    pending: async (before, slice) =>
      oldestFirst(
        table.filter((row) => row.status === 'pending' && row.createdAt <= before),
        slice,
      ),
  }
}
