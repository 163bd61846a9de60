/** The storage port: what @org/rbac keeps, whatever keeps it. */
import type { IdempotencyStore, Storage } from '@org/core'
import type { AssignmentStore } from '../assignments/store.js'
import type { AuditStore } from '../audit/store.js'
import type { TenantStore } from '../tenants/store.js'

export interface RbacStores {
  tenants: TenantStore
  assignments: AssignmentStore
  audit: AuditStore
  idempotency: IdempotencyStore
}

export type RbacStorage = Storage<RbacStores>
