/** The storage port: what @org/rbac keeps, whatever keeps it. */
import type { IdempotencyStore, Storage } from '@org/core'
import type { AssignmentStore } from '../assignments/store.js'
import type { AuditChainStore, AuditStore } from '../audit/store.js'
import type { InviteStore } from '../invites/store.js'
import type { KeyStore } from '../keys/store.js'
import type { MemberStore } from '../members/store.js'
import type { PolicyStore } from '../policies/store.js'
import type { TenantStore } from '../tenants/store.js'

export interface RbacStores {
  tenants: TenantStore
  members: MemberStore
  assignments: AssignmentStore
  policies: PolicyStore
  invites: InviteStore
  keys: KeyStore
  audit: AuditStore
  auditChain: AuditChainStore
  idempotency: IdempotencyStore
}

export type RbacStorage = Storage<RbacStores>
