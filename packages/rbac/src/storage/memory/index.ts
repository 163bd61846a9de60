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
import type { RbacStorage } from '../port.js'
import { memoryAssignments } from './assignments.js'
import { memoryAudit } from './audit.js'

export interface MemoryStorageOptions {
  /** Shared with other modules, so that the host can write to all of them in one transaction. */
  database?: MemoryDatabase
}

/** Keeps everything in this process. */
export function memoryStorage({ database = memoryDatabase() }: MemoryStorageOptions = {}): RbacStorage {
  const assignments: MemoryRows<Assignment> = new Map()
  const entries: MemoryRows<AuditEntry> = new Map()
  const idempotency: MemoryRows<IdempotencyRecord> = new Map()
  return memoryUnitOfWork(database, (tx) => ({
    // There is one writer at a time already.
    tenants: { lock: async () => {} },
    assignments: memoryAssignments(assignments, tx),
    audit: memoryAudit(entries, tx),
    idempotency: memoryIdempotency(idempotency, tx),
  }))
}
