import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { Member } from '../../members/schema.js'
import type { MemberStore } from '../../members/store.js'
import { passes } from './filter.js'

export function memoryMembers(rows: MemoryRows<Member>, tx: MemoryTransaction): MemberStore {
  const keyOf = (tenantId: string, userId: string) => JSON.stringify([tenantId, userId])
  const key = ({ tenantId, userId }: Member) => keyOf(tenantId, userId)
  const table = new MemoryTable(rows, tx, { key })
  const one = (tenantId: string, userId: string) => (row: Member) => row.tenantId === tenantId && row.userId === userId
  return {
    insertOrFind: async (row) => (table.insertUnlessExists(row) ? null : table.get(key(row))),
    find: async (tenantId, userId) => table.get(keyOf(tenantId, userId)),
    any: async (tenantId) => table.find((row) => row.tenantId === tenantId) !== null,
    setStatus: async (tenantId, userId, status) => void table.update(one(tenantId, userId), { status }),
    remove: async (tenantId, userId) => void table.remove(one(tenantId, userId)),
    removeAll: async (tenantId) => void table.remove((row) => row.tenantId === tenantId),
    suspended: async (tenantId, userIds) =>
      table
        .filter((row) => row.tenantId === tenantId && row.status === 'suspended' && userIds.includes(row.userId))
        .map(({ userId }) => userId),
    list: async (tenantId, { status }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && passes(status, row.status)),
        slice,
      ),
    ofUser: async (userId, slice) =>
      newestFirst(
        table.filter((row) => row.userId === userId),
        slice,
      ),
  }
}
