import type { Slice } from '@org/core'
import type { AuditEntry } from './schema.js'

export interface AuditFilter {
  user?: string | undefined
  action?: string | undefined
  resourceType?: string | undefined
  resourceId?: string | undefined
  from?: number | undefined
  to?: number | undefined
}

export interface AuditStore {
  /** Null if it was written; the entry of the same event if the tenant's log has one. */
  insertOrFind(entry: AuditEntry): Promise<AuditEntry | null>
  /** The newest first. */
  list(tenantId: string, filter: AuditFilter, slice: Slice<[time: number, id: string]>): Promise<AuditEntry[]>
}
