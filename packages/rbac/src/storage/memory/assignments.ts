import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { Assignment } from '../../assignments/schema.js'
import type { AssignmentStore } from '../../assignments/store.js'
import { passes } from './filter.js'

export function memoryAssignments(rows: MemoryRows<Assignment>, tx: MemoryTransaction): AssignmentStore {
  const key = ({ tenantId, userId, roleId, on }: Assignment) =>
    JSON.stringify([tenantId, userId, roleId, on?.resource ?? '', on?.id ?? ''])
  const table = new MemoryTable(rows, tx, { key })
  const oldestFirst = (matches: (row: Assignment) => boolean) =>
    table.filter(matches).sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    insertOrFind: async (row) => (table.insertUnlessExists(row) ? null : table.get(key(row))),
    setExpiry: async (id, expiresAt) => void table.update((row) => row.id === id, { expiresAt }),
    remove: async (id) => void table.remove((row) => row.id === id),
    removeAll: async (tenantId) => void table.remove((row) => row.tenantId === tenantId),
    ofUser: async (tenantId, userId) => oldestFirst((row) => row.tenantId === tenantId && row.userId === userId),
    ofUsers: async (tenantId, ids) => oldestFirst((row) => row.tenantId === tenantId && ids.includes(row.userId)),
    inTenants: async (userId, ids) => oldestFirst((row) => row.userId === userId && ids.includes(row.tenantId)),
    ofRoles: async (tenantId, ids) => oldestFirst((row) => row.tenantId === tenantId && ids.includes(row.roleId)),
    list: async (tenantId, { userId, role }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && passes(userId, row.userId) && passes(role, row.role)),
        slice,
      ),
  }
}
