import {
  type IdempotencyRecord,
  type MemoryDatabase,
  MemoryTable,
  type MemoryTransaction,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
  newestFirst,
} from '@org/core'
import type { Assignment } from '../assignments/schema.js'
import type { AssignmentStore } from '../assignments/store.js'
import type { AuditEntry } from '../audit/schema.js'
import type { AuditFilter, AuditStore } from '../audit/store.js'
import type { RbacStorage } from './port.js'

/** Keeps everything in this process and loses it with it. Share a `database` to write with other modules atomically. */
export function memoryStorage({ database = memoryDatabase() }: { database?: MemoryDatabase } = {}): RbacStorage {
  const assignments = new Map<string, Assignment>()
  const entries = new Map<string, AuditEntry>()
  const idempotency = new Map<string, IdempotencyRecord>()
  return memoryUnitOfWork(database, (tx) => ({
    // There is one writer at a time already.
    tenants: { lock: async () => {} },
    assignments: memoryAssignments(assignments, tx),
    audit: memoryAudit(entries, tx),
    idempotency: memoryIdempotency(idempotency, tx),
  }))
}

function memoryAssignments(rows: Map<string, Assignment>, tx: MemoryTransaction): AssignmentStore {
  const keyOf = (tenantId: string, userId: string, role: string) => JSON.stringify([tenantId, userId, role])
  const table = new MemoryTable(rows, tx, { key: ({ tenantId, userId, role }) => keyOf(tenantId, userId, role) })
  const oldestFirst = (list: Assignment[]) => list.sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    add: async (assignment) => table.insertUnlessExists(assignment),
    remove: async (id) => table.remove((row) => row.id === id) > 0,
    lock: async (tenantId, userId, role) => table.get(keyOf(tenantId, userId, role)),
    ofUser: async (tenantId, userId) =>
      oldestFirst(table.filter((row) => row.tenantId === tenantId && row.userId === userId)),
    ofRoles: async (tenantId, roles) =>
      oldestFirst(table.filter((row) => row.tenantId === tenantId && roles.includes(row.role))),
    list: async (tenantId, { userId, role }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && is(userId, row.userId) && is(role, row.role)),
        slice,
      ),
  }
}

function memoryAudit(rows: Map<string, AuditEntry>, tx: MemoryTransaction): AuditStore {
  const table = new MemoryTable(rows, tx, {
    key: ({ id, tenantId, eventId }) => JSON.stringify([tenantId, eventId ?? id]),
  })
  return {
    add: async (entry) => void table.insertUnlessExists(entry),
    list: async (tenantId, filter, { limit, after }) =>
      table
        .filter((entry) => entry.tenantId === tenantId && passes(entry, filter))
        .filter((entry) => !after || entry.time < after[0] || (entry.time === after[0] && entry.id < after[1]))
        .sort((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1))
        .slice(0, limit),
  }
}

function passes({ actor, action, resource, time }: AuditEntry, filter: AuditFilter): boolean {
  const { user, resourceType, resourceId, from = -Infinity, to = Infinity } = filter
  const named = is(user, actor.id) && is(filter.action, action)
  const aimed = is(resourceType, resource?.type) && is(resourceId, resource?.id)
  return named && aimed && time >= from && time < to
}

/** A filter that is not given lets everything pass. */
function is(wanted: string | undefined, value: string | undefined): boolean {
  return wanted === undefined || wanted === value
}
