import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import { EntriesMoved, genesis } from '../../audit/chain.js'
import type { AuditCheckpoint } from '../../audit/checkpoint.js'
import { type AuditRecord, targetsOf } from '../../audit/record.js'
import type { AuditChainStore, AuditHead } from '../../audit/store.js'
import { auditRows, byTime } from './audit.js'

type CheckpointRow = AuditCheckpoint & { anchored: boolean }

export interface AuditChainRows {
  heads: MemoryRows<AuditHead>
  checkpoints: MemoryRows<CheckpointRow>
}

export function memoryAuditChain(
  rows: MemoryRows<AuditRecord>,
  { heads: headRows, checkpoints: checkpointRows }: AuditChainRows,
  tx: MemoryTransaction,
): AuditChainStore {
  const entries = auditRows(rows, tx)
  const heads = new MemoryTable(headRows, tx, { key: (row) => row.tenantId })
  const checkpoints = new MemoryTable(checkpointRows, tx, {
    key: ({ tenantId, toSeq }) => JSON.stringify([tenantId, toSeq]),
  })
  const bySeq = (a: { seq: number | null }, b: { seq: number | null }) => (a.seq ?? 0) - (b.seq ?? 0)
  const within = (tenantId: string, afterSeq: number, toSeq = Infinity) =>
    entries
      .filter((row) => row.tenantId === tenantId && row.seq !== null && row.seq > afterSeq && row.seq <= toSeq)
      .sort(bySeq)
  const waiting = (tenantId: string) =>
    entries.filter((row) => row.tenantId === tenantId && row.seq === null).sort(byTime)
  const inOrder = (list: CheckpointRow[], limit: number) =>
    list
      .sort((a, b) => (a.tenantId === b.tenantId ? a.toSeq - b.toSeq : a.tenantId < b.tenantId ? -1 : 1))
      .slice(0, limit)
      .map(({ anchored: _, ...checkpoint }) => checkpoint)

  return {
    head: async (tenantId) => heads.get(tenantId),
    async lockHead(tenantId, now) {
      const row: AuditHead = {
        ...{ tenantId, seq: 0, hash: genesis, checkpointSeq: 0, checkpointHash: null, checkpointTime: now },
        ...{ streamedSeq: 0, prunedSeq: 0 },
      }
      heads.insertUnlessExists(row)
      return heads.get(tenantId) ?? row
    },
    moveHead: async (tenantId, patch) => void heads.update((row) => row.tenantId === tenantId, patch),
    headsDue: async ({ checkpoint, stream }, after, limit) =>
      heads
        .filter((row) => {
          if (after !== null && row.tenantId <= after) return false
          if (stream && row.streamedSeq < row.seq) return true
          if (!checkpoint || row.seq <= row.checkpointSeq) return false
          return row.seq - row.checkpointSeq >= checkpoint.entries || row.checkpointTime <= checkpoint.before
        })
        .sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1))
        .slice(0, limit),
    nextUnsealedTenant: async (after) =>
      entries
        .filter((row) => row.seq === null && (after === null || row.tenantId > after))
        .map(({ tenantId }) => tenantId)
        .sort()[0] ?? null,
    unsealed: async (tenantId, limit) =>
      waiting(tenantId)
        .slice(0, limit)
        .map(({ id, time, contentHash }) => ({ id, time, contentHash })),
    async seal(tenantId, links) {
      const places = new Map(links.map(({ id, seq, prevHash, hash }) => [id, { seq, prevHash, hash }]))
      const written = entries.update(
        (row) => row.tenantId === tenantId && row.seq === null && places.has(row.id),
        (row) => places.get(row.id) ?? {},
      )
      if (written !== links.length)
        throw new EntriesMoved(`${written} of ${links.length} audit entries took their places`)
    },
    sealed: async (tenantId, afterSeq, limit) => within(tenantId, afterSeq).slice(0, limit),
    unsealedRecords: async (tenantId, { limit, after }) =>
      waiting(tenantId)
        .filter((row) => !after || byTime(row, { time: after[0], id: after[1] }) > 0)
        .slice(0, limit),
    // Memory finds an entry by what it says: there is no second place to check.
    targets: async (_, records) =>
      records.flatMap(({ id: entryId, what }) =>
        targetsOf(what)
          .slice(1)
          .map((target) => ({ entryId, ...target })),
      ),
    async canonical(tenantId, positions) {
      const ids = new Set(positions.map(([, id]) => id))
      const found = entries.filter((row) => row.tenantId === tenantId && ids.has(row.id))
      return new Map(found.map(({ id, canonical }) => [id, canonical]))
    },
    hashes: async (tenantId, afterSeq, limit) =>
      within(tenantId, afterSeq, afterSeq + limit).map(({ seq, hash }) => ({ seq: seq ?? 0, hash: hash ?? '' })),
    addCheckpoint: async (checkpoint) => checkpoints.insert({ ...checkpoint, anchored: false }),
    checkpoints: async (tenantId, afterSeq, limit) =>
      inOrder(
        checkpoints.filter((row) => row.tenantId === tenantId && row.toSeq > afterSeq),
        limit,
      ),
    unanchored: async (limit) =>
      inOrder(
        checkpoints.filter(({ anchored }) => !anchored),
        limit,
      ),
    isAnchored: async (tenantId, toSeq) => checkpoints.get(JSON.stringify([tenantId, toSeq]))?.anchored ?? false,
    markAnchored: async (tenantId, toSeq) =>
      void checkpoints.update((row) => row.tenantId === tenantId && row.toSeq === toSeq, { anchored: true }),
    newestTime: async (tenantId, afterSeq, toSeq) =>
      within(tenantId, afterSeq, toSeq).reduce<number | null>(
        (newest, { time }) => (newest === null || time > newest ? time : newest),
        null,
      ),
    removeThrough: async (tenantId, toSeq) =>
      entries.remove((row) => row.tenantId === tenantId && row.seq !== null && row.seq <= toSeq),
  }
}
