import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Customer } from '../../customers/schema.js'
import type { CustomerStore } from '../../customers/store.js'

export function memoryCustomers(rows: MemoryRows<Customer>, tx: MemoryTransaction): CustomerStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.tenantId })
  return {
    insertOrFind: async (customer) => (table.insertUnlessExists(customer) ? null : table.get(customer.tenantId)),
    get: async (tenantId) => table.get(tenantId),
    lock: async (tenantId) => table.get(tenantId),
    update: async (customer) => void table.replace(customer),
  }
}
