import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { Invoice } from '../../invoices/schema.js'
import type { InvoiceStore } from '../../invoices/store.js'
import { oldestFirst, owned } from './rows.js'

export interface MemoryInvoiceRows {
  invoices: MemoryRows<Invoice>
  sequences: MemoryRows<{ name: string; value: number }>
}

export function memoryInvoices(rows: MemoryInvoiceRows, tx: MemoryTransaction): InvoiceStore {
  const table = new MemoryTable(rows.invoices, tx, { key: (row) => row.id, unique: [(row) => row.periodKey] })
  const sequences = new MemoryTable(rows.sequences, tx, { key: (row) => row.name })
  return {
    insert: async (invoice) => table.insertUnlessExists(invoice),
    get: async (tenantId, id) => owned(table.get(id), tenantId),
    lock: async (tenantId, id) => owned(table.get(id), tenantId),
    update: async (invoice) => void table.replace(invoice),
    remove: async (id) => void table.delete(id),
    list: async (tenantId, { status, subscriptionId }, slice) =>
      newestFirst(
        table.filter(
          (row) =>
            row.tenantId === tenantId &&
            (status === undefined || row.status === status) &&
            (subscriptionId === undefined || row.subscriptionId === subscriptionId),
        ),
        slice,
      ),
    openOf: async (subscriptionId) =>
      table.filter((row) => row.subscriptionId === subscriptionId && row.status === 'open').map((row) => row.id),
    scan: async (slice) =>
      oldestFirst(
        table.filter(() => true),
        slice,
      ),
    nextNumber: async (name) => {
      const value = (sequences.get(name)?.value ?? 0) + 1
      if (!sequences.insertUnlessExists({ name, value })) sequences.replace({ name, value })
      return value
    },
    numbering: async (name) => ({
      last: sequences.get(name)?.value ?? 0,
      numbered: table.filter((row) => row.number !== null).length,
    }),
  }
}
