import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { AuditEntry } from '../../audit/schema.js'
import type { AuditFilter, AuditStore } from '../../audit/store.js'
import { passes } from './filter.js'

export function memoryAudit(rows: MemoryRows<AuditEntry>, tx: MemoryTransaction): AuditStore {
  const key = ({ id, tenantId, eventId }: AuditEntry) => JSON.stringify([tenantId, eventId ?? id])
  const table = new MemoryTable(rows, tx, { key })
  return {
    insertOrFind: async (entry) => (table.insertUnlessExists(entry) ? null : table.get(key(entry))),
    list: async (tenantId, filter, { limit, after }) =>
      table
        .filter((entry) => entry.tenantId === tenantId && matches(entry, filter))
        .filter((entry) => !after || entry.time < after[0] || (entry.time === after[0] && entry.id < after[1]))
        .sort((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1))
        .slice(0, limit),
  }
}

function matches({ actor, action, resource, time }: AuditEntry, filter: AuditFilter): boolean {
  const { user, resourceType, resourceId, from = -Infinity, to = Infinity } = filter
  const named = passes(user, actor.id) && passes(filter.action, action)
  const aimed = passes(resourceType, resource?.type) && passes(resourceId, resource?.id)
  return named && aimed && time >= from && time < to
}
