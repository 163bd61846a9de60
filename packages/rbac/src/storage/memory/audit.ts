import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import { type AuditRecord, targetsOf, withoutWhat, withoutWho } from '../../audit/record.js'
import type { AuditFilter, AuditPosition, AuditStore } from '../../audit/store.js'
import { passes } from './filter.js'

const keyOf = ({ id, tenantId, time }: AuditRecord) => JSON.stringify([tenantId, time, id])

export function auditRows(rows: MemoryRows<AuditRecord>, tx: MemoryTransaction): MemoryTable<AuditRecord> {
  return new MemoryTable(rows, tx, { key: keyOf })
}

export function memoryAudit(rows: MemoryRows<AuditRecord>, tx: MemoryTransaction): AuditStore {
  const table = auditRows(rows, tx)
  const oldestFirst = (matches: (row: AuditRecord) => boolean, slice: { limit: number; after: AuditPosition | null }) =>
    table
      .filter(matches)
      .sort(byTime)
      .filter((row) => !slice.after || byTime(row, { time: slice.after[0], id: slice.after[1] }) > 0)
      .slice(0, slice.limit)
  return {
    async insertOrFind(record) {
      if (table.insertUnlessExists(record)) return null
      return table.get(keyOf(record))
    },
    list: async (tenantId, filter, { limit, after }) =>
      table
        .filter((row) => row.tenantId === tenantId && matches(row, filter))
        .filter((row) => !after || byTime(row, { time: after[0], id: after[1] }) < 0)
        .sort((a, b) => byTime(b, a))
        .slice(0, limit),
    naming: async (tenantId, texts, slice) => {
      const lower = texts.map((text) => text.toLowerCase())
      const holds = (what: string) => lower.some((text) => what.includes(text))
      return oldestFirst((row) => row.tenantId === tenantId && holds(row.what?.toLowerCase() ?? ''), slice)
    },
    by: async (tenantId, userId, slice) =>
      oldestFirst((row) => row.tenantId === tenantId && row.actorType === 'user' && row.actorId === userId, slice),
    async erase(tenantId, part, positions) {
      const ids = new Set(positions.map(([, id]) => id))
      table.update((row) => row.tenantId === tenantId && ids.has(row.id), part === 'who' ? withoutWho() : withoutWhat())
    },
  }
}

/** The oldest first, and those of one moment by id. */
export function byTime(a: { time: number; id: string }, b: { time: number; id: string }): number {
  if (a.time !== b.time) return a.time - b.time
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1
}

function matches(row: AuditRecord, filter: AuditFilter): boolean {
  const { user, action, actions, outcome, requestId, text, from = -Infinity, to = Infinity } = filter
  if (!passes(user, row.actorId) || !passes(outcome, row.outcome)) return false
  if (!passes(requestId, row.requestId ?? undefined) || row.time < from || row.time >= to) return false
  const wanted = actions ?? (action === undefined ? undefined : [action])
  if (wanted && !wanted.some((name) => isUnder(name, row.action))) return false
  return isAimed(row, filter) && (text === undefined || contains(row, text))
}

function isUnder(wanted: string, action: string): boolean {
  return wanted.endsWith('.*') ? action.startsWith(wanted.slice(0, -1)) : action === wanted
}

function isAimed({ what }: AuditRecord, { resourceType, resourceId }: AuditFilter): boolean {
  if (resourceType === undefined && resourceId === undefined) return true
  return targetsOf(what).some(({ type, id }) => passes(resourceType, type) && passes(resourceId, id))
}

function contains({ action, actorId, what }: AuditRecord, text: string): boolean {
  const wanted = text.toLowerCase()
  const inside = JSON.stringify(wanted).slice(1, -1)
  return [action, actorId].some((part) => part.toLowerCase().includes(wanted)) || !!what?.toLowerCase().includes(inside)
}
