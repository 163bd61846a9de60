import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { Assignment } from '../../assignments/schema.js'
import type { AssignmentStore } from '../../assignments/store.js'
import { passes } from './filter.js'

export function memoryAssignments(rows: MemoryRows<Assignment>, tx: MemoryTransaction): AssignmentStore {
  const keyOf = (tenantId: string, userId: string, role: string) => JSON.stringify([tenantId, userId, role])
  const key = ({ tenantId, userId, role }: Assignment) => keyOf(tenantId, userId, role)
  const table = new MemoryTable(rows, tx, { key })
  const oldestFirst = (list: Assignment[]) => list.sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    insertOrFind: async (row) => (table.insertUnlessExists(row) ? null : table.get(key(row))),
    remove: async (id) => void table.remove((row) => row.id === id),
    lock: async (tenantId, userId, role) => table.get(keyOf(tenantId, userId, role)),
    ofUser: async (tenantId, userId) =>
      oldestFirst(table.filter((row) => row.tenantId === tenantId && row.userId === userId)),
    ofRoles: async (tenantId, roles) =>
      oldestFirst(table.filter((row) => row.tenantId === tenantId && roles.includes(row.role))),
    list: async (tenantId, { userId, role }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && passes(userId, row.userId) && passes(role, row.role)),
        slice,
      ),
  }
}
