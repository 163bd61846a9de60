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
import type { AuditEntry } from '../../audit/schema.js'
import type { Member } from '../../members/schema.js'
import type { Policy } from '../../policies/schema.js'
import type { RbacStorage } from '../port.js'
import { memoryAssignments } from './assignments.js'
import { memoryAudit } from './audit.js'
import { memoryMembers } from './members.js'
import { memoryPolicies } from './policies.js'
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
  const policies: MemoryRows<Policy> = new Map()
  const entries: MemoryRows<AuditEntry> = new Map()
  const idempotency: MemoryRows<IdempotencyRecord> = new Map()
  return memoryUnitOfWork(database, (tx) => ({
    tenants: memoryTenants(tenants, tx),
    members: memoryMembers(members, tx),
    assignments: memoryAssignments(assignments, tx),
    policies: memoryPolicies(policies, tx),
    audit: memoryAudit(entries, tx),
    idempotency: memoryIdempotency(idempotency, tx),
  }))
}
