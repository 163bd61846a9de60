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
  /** Adds an entry; does nothing if the tenant's log has one of the same event. */
  add(entry: AuditEntry): Promise<void>
  /** The newest first. */
  list(tenantId: string, filter: AuditFilter, slice: Slice<[time: number, id: string]>): Promise<AuditEntry[]>
}
