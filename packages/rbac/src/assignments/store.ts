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
  /** Null if it was written; the assignment that is there if the member has the role, on the same thing. */
  insertOrFind(assignment: Assignment): Promise<Assignment | null>
  setExpiry(id: string, expiresAt: number | null): Promise<void>
  remove(id: string): Promise<void>
  /** Of a tenant that goes. */
  removeAll(tenantId: string): Promise<void>
  /** All of one member, the oldest first. */
  ofUser(tenantId: string, userId: string, options?: ReadOptions): Promise<Assignment[]>
  /** All of these members, the oldest first. */
  ofUsers(tenantId: string, userIds: readonly string[]): Promise<Assignment[]>
  /** All of one user in these tenants. */
  inTenants(userId: string, tenantIds: readonly string[]): Promise<Assignment[]>
  /** All of these roles in the tenant, by their ids. */
  ofRoles(tenantId: string, roleIds: readonly string[], options?: ReadOptions): Promise<Assignment[]>
  /** The newest first; by the role's key. */
  list(tenantId: string, filter: AssignmentFilter, slice: Slice): Promise<Assignment[]>
}
