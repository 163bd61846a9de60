/** The ports of the log: its entries, and the chain that binds them. */
import type { Slice } from '@org/core'
import type { Link, Unsealed } from './chain.js'
import type { AuditCheckpoint } from './checkpoint.js'
import type { AuditRecord } from './record.js'
import type { AuditPart, AuditResource, Outcome } from './schema.js'

export interface AuditFilter {
  user?: string | undefined
  /** With `.*` at its end, all that begin with what is before the star. */
  action?: string | undefined
  /** Any of these, each as `action`. */
  actions?: readonly string[] | undefined
  resourceType?: string | undefined
  resourceId?: string | undefined
  outcome?: Outcome | undefined
  requestId?: string | undefined
  text?: string | undefined
  from?: number | undefined
  to?: number | undefined
}

/** Where an entry stands in the log. */
export type AuditPosition = [time: number, id: string]

export interface AuditStore {
  /** Null if it was written; the entry of the same event, which has the same time and id, if the tenant's log has one. One insert for one target. */
  insertOrFind(record: AuditRecord, targets: readonly AuditResource[]): Promise<AuditRecord | null>
  /** The newest first. */
  list(tenantId: string, filter: AuditFilter, slice: Slice<AuditPosition>): Promise<AuditRecord[]>
  /** Those whose `what` holds one of the texts, in either case of ASCII letters at least; the oldest first, locked. For erasure. */
  naming(tenantId: string, texts: readonly string[], slice: Slice<AuditPosition>): Promise<AuditRecord[]>
  /** Those by a user, the oldest first; locked. For erasure. */
  by(tenantId: string, userId: string, slice: Slice<AuditPosition>): Promise<AuditRecord[]>
  /** Removes the personal parts, and the targets by which entries are found. */
  erase(tenantId: string, part: AuditPart, positions: readonly AuditPosition[]): Promise<void>
}

/** The end of a tenant's chain, and how far its keepers have come. */
export interface AuditHead {
  tenantId: string
  /** 0 before the first link. */
  seq: number
  hash: string
  /** The last entry in a checkpoint, and that checkpoint. */
  checkpointSeq: number
  checkpointHash: string | null
  checkpointTime: number
  /** The last entry that the stream has taken. */
  streamedSeq: number
  /** The last entry that retention has removed. */
  prunedSeq: number
}

/** Heads that somebody has to look after: any of what is given. */
export interface HeadsDue {
  checkpoint?: { entries: number; before: number }
  stream?: boolean
}

/** What is read to verify an entry; the canonical text is asked for only when it is needed. */
export type ChainedRecord = Omit<AuditRecord, 'canonical'>

/** A target after the first, as it is found by. */
export interface TargetRow extends AuditResource {
  entryId: string
}

export interface AuditChainStore {
  head(tenantId: string): Promise<AuditHead | null>
  /** Makes it if there is none, and locks it until the transaction ends: whoever else seals waits. */
  lockHead(tenantId: string, now: number): Promise<AuditHead>
  moveHead(tenantId: string, patch: Partial<AuditHead>): Promise<void>
  /** In the order of their tenants. */
  headsDue(due: HeadsDue, after: string | null, limit: number): Promise<AuditHead[]>
  /** The next tenant with entries that are not sealed. */
  nextUnsealedTenant(after: string | null): Promise<string | null>
  unsealed(tenantId: string, limit: number): Promise<Unsealed[]>
  /** Those that `unsealed` found, linked. @throws EntriesMoved if one of them is gone, or was written anew since. */
  seal(tenantId: string, links: readonly Link[]): Promise<void>
  /** In the order of the chain; fewer than `limit` only at its end. */
  sealed(tenantId: string, afterSeq: number, limit: number): Promise<ChainedRecord[]>
  /** Those that wait for the sealer, the oldest first. */
  unsealedRecords(tenantId: string, slice: Slice<AuditPosition>): Promise<ChainedRecord[]>
  /** The targets after the first of some entries that follow each other in the chain, each entry's in their order. */
  targets(tenantId: string, records: readonly ChainedRecord[]): Promise<TargetRow[]>
  canonical(tenantId: string, positions: readonly AuditPosition[]): Promise<Map<string, string>>
  /** Those of the next `limit` places. */
  hashes(tenantId: string, afterSeq: number, limit: number): Promise<{ seq: number; hash: string }[]>
  addCheckpoint(checkpoint: AuditCheckpoint): Promise<void>
  /** In the order of the chain. */
  checkpoints(tenantId: string, afterSeq: number, limit: number): Promise<AuditCheckpoint[]>
  unanchored(limit: number): Promise<AuditCheckpoint[]>
  isAnchored(tenantId: string, toSeq: number): Promise<boolean>
  markAnchored(tenantId: string, toSeq: number): Promise<void>
  /** The time of the newest entry in a range of the chain. */
  newestTime(tenantId: string, afterSeq: number, toSeq: number): Promise<number | null>
  /** How many went. */
  removeThrough(tenantId: string, toSeq: number): Promise<number>
}
