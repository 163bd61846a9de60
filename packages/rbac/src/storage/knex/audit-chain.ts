import { dialectOf, flag, integer, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import { genesis } from '../../audit/chain.js'
import type { AuditCheckpoint } from '../../audit/checkpoint.js'
import type { AuditChainStore, AuditHead, HeadsDue } from '../../audit/store.js'
import { auditTable, auditTargetTable } from './audit.js'
import { writeLinks } from './audit-links.js'
import { readChained, readTargets } from './audit-read.js'

type CheckpointRow = AuditCheckpoint & { anchored: boolean }

export function knexAuditChain(db: Knex, prefix: string): AuditChainStore {
  const entries = auditTable(db, prefix)
  const targets = auditTargetTable(db, prefix)
  const heads = new KnexTable<AuditHead>(db, `${prefix}audit_heads`, {
    tenantId: text,
    seq: integer,
    hash: text,
    checkpointSeq: integer,
    checkpointHash: nullable(text),
    checkpointTime: integer,
    streamedSeq: integer,
    prunedSeq: integer,
  })
  const checkpoints = new KnexTable<CheckpointRow>(db, `${prefix}audit_checkpoints`, {
    tenantId: text,
    fromSeq: integer,
    toSeq: integer,
    count: integer,
    root: text,
    headHash: text,
    previousHash: nullable(text),
    time: integer,
    hash: text,
    keyId: nullable(text),
    signature: nullable(text),
    anchored: flag,
  })
  const within = (tenantId: string, afterSeq: number, toSeq: number) =>
    entries.query({ tenantId }).where('seq', '>', afterSeq).where('seq', '<=', toSeq)

  return {
    head: (tenantId) => heads.find({ tenantId }),
    async lockHead(tenantId, now) {
      const row: AuditHead = {
        ...{ tenantId, seq: 0, hash: genesis, checkpointSeq: 0, checkpointHash: null, checkpointTime: now },
        ...{ streamedSeq: 0, prunedSeq: 0 },
      }
      // One statement that makes or locks it: in MySQL, those who first find it missing wait for each other.
      await heads.query().insert(heads.encode(row)).onConflict('tenant_id').merge(['tenant_id'])
      return (await heads.lock({ tenantId })) ?? row
    },
    moveHead: async (tenantId, patch) => void (await heads.update({ tenantId }, patch)),
    headsDue: ({ checkpoint, stream }: HeadsDue, after, limit) =>
      heads.all((query) => {
        query.where((any) => {
          if (checkpoint) {
            any.orWhereRaw('seq - checkpoint_seq >= ?', [checkpoint.entries])
            any.orWhere((old) => old.whereRaw('seq > checkpoint_seq').where('checkpoint_time', '<=', checkpoint.before))
          }
          if (stream) any.orWhereRaw('streamed_seq < seq')
        })
        if (after !== null) query.where('tenant_id', '>', after)
        return query.orderBy('tenant_id').limit(limit)
      }),
    async nextUnsealedTenant(after) {
      const query = entries.query().whereNull('seq').orderBy('tenant_id').limit(1).select({ tenantId: 'tenant_id' })
      if (after !== null) query.where('tenant_id', '>', after)
      const [row]: { tenantId: string }[] = await query
      return row?.tenantId ?? null
    },
    async unsealed(tenantId, limit) {
      const query = entries.query({ tenantId }).whereNull('seq').orderBy(['time', 'id']).limit(limit)
      const rows: { id: string; time: unknown; contentHash: string; at?: string }[] = await query.select({
        ...{ id: 'id', time: 'time', contentHash: 'content_hash' },
        ...(dialectOf(db) === 'postgres' && { at: 'ctid' }),
      })
      return rows.map((row) => ({ ...row, time: Number(row.time) }))
    },
    seal: (tenantId, links) => writeLinks(db, entries.name, tenantId, links),
    async sealed(tenantId, afterSeq, limit) {
      const after = (query: Knex.QueryBuilder) =>
        query.where('tenant_id', tenantId).where('seq', '>', afterSeq).orderBy('seq')
      // The end of the range keeps planners on the index; after a gap there may be less in it than there is to read.
      const rows = await readChained(entries, (query) => after(query).where('seq', '<=', afterSeq + limit))
      return rows.length === limit ? rows : readChained(entries, (query) => after(query).limit(limit))
    },
    unsealedRecords: (tenantId, { limit, after }) =>
      readChained(entries, (query) => {
        query.where('tenant_id', tenantId).whereNull('seq')
        if (after) {
          query.where('time', '>=', after[0])
          query.where((later) => later.where('time', '>', after[0]).orWhere('id', '>', after[1]))
        }
        return query.orderBy(['time', 'id']).limit(limit)
      }),
    targets: (tenantId, records) => readTargets(entries, targets, tenantId, records),
    async canonical(tenantId, positions) {
      const found = new Map<string, string>()
      for (const [time, id] of positions) {
        const row = await entries.find({ tenantId, time, id })
        if (row) found.set(id, row.canonical)
      }
      return found
    },
    async hashes(tenantId, afterSeq, limit) {
      const rows: { seq: unknown; hash: string }[] = await within(tenantId, afterSeq, afterSeq + limit)
        .orderBy('seq')
        .select('seq', 'hash')
      return rows.map(({ seq, hash }) => ({ seq: Number(seq), hash }))
    },
    addCheckpoint: (checkpoint) => checkpoints.insert({ ...checkpoint, anchored: false }),
    checkpoints: async (tenantId, afterSeq, limit) =>
      (
        await checkpoints.all((query) =>
          query.where('tenant_id', tenantId).where('to_seq', '>', afterSeq).orderBy('to_seq').limit(limit),
        )
      ).map(withoutFlag),
    unanchored: async (limit) =>
      (
        await checkpoints.all((query) => query.whereRaw('anchored = 0').orderBy(['tenant_id', 'to_seq']).limit(limit))
      ).map(withoutFlag),
    isAnchored: async (tenantId, toSeq) => (await checkpoints.find({ tenantId, toSeq }))?.anchored ?? false,
    markAnchored: async (tenantId, toSeq) => void (await checkpoints.update({ tenantId, toSeq }, { anchored: true })),
    async newestTime(tenantId, afterSeq, toSeq) {
      const [row] = await within(tenantId, afterSeq, toSeq).max({ newest: 'time' })
      return row?.newest === null || row?.newest === undefined ? null : Number(row.newest)
    },
    async removeThrough(tenantId, toSeq) {
      const gone = within(tenantId, 0, toSeq).select('time', 'id')
      // MySQL is slow at rows in a subquery, and entries with several targets are few.
      const several: { time: unknown; id: string }[] = await gone.whereExists((query) =>
        query
          .select(db.raw('1'))
          .from(targets.name)
          .whereRaw('??.tenant_id = ??.tenant_id', [targets.name, entries.name])
          .whereRaw('??.time = ??.time', [targets.name, entries.name])
          .whereRaw('??.entry_id = ??.id', [targets.name, entries.name]),
      )
      for (const { time, id } of several) await targets.remove({ tenantId, time: Number(time), entryId: id })
      return within(tenantId, 0, toSeq).delete()
    },
  }
}

function withoutFlag({ anchored: _, ...checkpoint }: CheckpointRow): AuditCheckpoint {
  return checkpoint
}
