/** Storage in memory: the default for trying things out. It is lost with the process. */
import {
  type IdempotencyRecord,
  type MemoryDatabase,
  type MemoryRows,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
} from '@org/core'
import type { Assignment } from '../../assignments/schema.js'
import type { AuditRecord } from '../../audit/record.js'
import type { StoredInvite } from '../../invites/schema.js'
import type { KeySecret, StoredKey } from '../../keys/schema.js'
import type { Member } from '../../members/schema.js'
import type { RbacStorage } from '../port.js'
import { memoryAssignments } from './assignments.js'
import { memoryAudit } from './audit.js'
import { type AuditChainRows, memoryAuditChain } from './audit-chain.js'
import { memoryInvites } from './invites.js'
import { memoryKeys } from './keys.js'
import { memoryMembers } from './members.js'
import { memoryPolicies, type PolicyRows } from './policies.js'
import { memoryTenants, type TenantRow } from './tenants.js'

export interface MemoryStorageOptions {
  /** Shared with other modules, so that the host can write to all of them in one transaction. */
  database?: MemoryDatabase
}

/** Keeps everything in this process. */
export function memoryStorage({ database = memoryDatabase() }: MemoryStorageOptions = {}): RbacStorage {
  const tenants: MemoryRows<TenantRow> = new Map()
  const members: MemoryRows<Member> = new Map()
  const assignments: MemoryRows<Assignment> = new Map()
  const invites: MemoryRows<StoredInvite> = new Map()
  const policies: PolicyRows = { versions: new Map(), drafts: new Map() }
  const entries: MemoryRows<AuditRecord> = new Map()
  const chain: AuditChainRows = { heads: new Map(), checkpoints: new Map() }
  const keys: MemoryRows<StoredKey> = new Map()
  const keySecrets: MemoryRows<KeySecret> = new Map()
  const idempotency: MemoryRows<IdempotencyRecord> = new Map()
  return memoryUnitOfWork(database, (tx) => ({
    tenants: memoryTenants(tenants, tx),
    members: memoryMembers(members, tx),
    assignments: memoryAssignments(assignments, tx),
    invites: memoryInvites(invites, tx),
    policies: memoryPolicies(policies, tx),
    keys: memoryKeys(keys, keySecrets, tx),
    audit: memoryAudit(entries, tx),
    auditChain: memoryAuditChain(entries, chain, tx),
    idempotency: memoryIdempotency(idempotency, tx),
  }))
}
