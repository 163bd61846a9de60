import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import { statusOf } from '../../invites/invite.js'
import type { StoredInvite } from '../../invites/schema.js'
import type { InviteStore } from '../../invites/store.js'
import { passes } from './filter.js'

export function memoryInvites(rows: MemoryRows<StoredInvite>, tx: MemoryTransaction): InviteStore {
  const table = new MemoryTable(rows, tx, { key: ({ id }) => id, unique: [({ tokenHash }) => tokenHash] })
  const isPending = (row: StoredInvite, now: number) => statusOf(row, now) === 'pending'
  return {
    insert: async (invite) => table.insert(invite),
    find: async (tenantId, id) => table.find((row) => row.tenantId === tenantId && row.id === id),
    findByHash: async (tokenHash) => table.find((row) => row.tokenHash === tokenHash),
    update: async (tenantId, id, patch) =>
      void table.update((row) => row.tenantId === tenantId && row.id === id, patch),
    removeAll: async (tenantId) => void table.remove((row) => row.tenantId === tenantId),
    setSent: async (id, tokenHash, sent) =>
      void table.update((row) => row.id === id && row.tokenHash === tokenHash, sent),
    pendingTo: async (tenantId, address, now) =>
      table.find((row) => row.tenantId === tenantId && row.address === address && isPending(row, now)),
    list: async (tenantId, { status, kind, now }, slice) =>
      newestFirst(
        table.filter(
          (row) => row.tenantId === tenantId && passes(kind, row.kind) && passes(status, statusOf(row, now)),
        ),
        slice,
      ),
    pendingWithRoles: async (tenantId, ids, now) =>
      table.filter(
        (row) => row.tenantId === tenantId && isPending(row, now) && row.roles.some(({ id }) => ids.includes(id)),
      ),
  }
}
