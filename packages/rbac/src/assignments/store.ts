import type { Slice } from '@org/core'
import type { Assignment } from './schema.js'

export interface AssignmentFilter {
  userId?: string | undefined
  role?: string | undefined
}

/** For a decision: the rows are read as they are now, whatever the transaction saw before, and stay so until it ends. */
export interface ReadOptions {
  lock?: boolean
}

export interface AssignmentStore {
  /** Null if it was written; the assignment that is there if the member has the role. */
  insertOrFind(assignment: Assignment): Promise<Assignment | null>
  remove(id: string): Promise<void>
  /** Reads one for a decision, as with `lock`. */
  lock(tenantId: string, userId: string, role: string): Promise<Assignment | null>
  /** All of one member, the oldest first. */
  ofUser(tenantId: string, userId: string, options?: ReadOptions): Promise<Assignment[]>
  /** All of these roles in the tenant. */
  ofRoles(tenantId: string, roles: readonly string[], options?: ReadOptions): Promise<Assignment[]>
  /** The newest first. */
  list(tenantId: string, filter: AssignmentFilter, slice: Slice): Promise<Assignment[]>
}
