import { fieldsOf, integer, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import { type AuditRecord, withoutWhat, withoutWho } from '../../audit/record.js'
import type { AuditPart, AuditResource } from '../../audit/schema.js'
import type { AuditPosition, AuditStore } from '../../audit/store.js'
import { auditReader, likeText } from './audit-list.js'

const columns = fieldsOf<AuditRecord>({
  id: text,
  eventId: nullable(text),
  tenantId: text,
  time: integer,
  actorType: oneOf(),
  actorId: text,
  action: text,
  outcome: oneOf(),
  resourceType: nullable(text),
  resourceId: nullable(text),
  ip: nullable(text),
  userAgent: nullable(text),
  requestId: nullable(text),
  what: nullable(text),
  whoSalt: nullable(text),
  whatSalt: nullable(text),
  canonical: text,
  contentHash: text,
  seq: nullable(integer),
  prevHash: nullable(text),
  hash: nullable(text),
})

export function auditTable(db: Knex, prefix: string): KnexTable<AuditRecord> {
  return new KnexTable(db, `${prefix}audit_entries`, columns)
}

/** A target after the first. */
export interface Target extends AuditResource {
  tenantId: string
  time: number
  entryId: string
  position: number
}

const targetColumns = fieldsOf<Target>({
  tenantId: text,
  time: integer,
  entryId: text,
  position: integer,
  type: text,
  id: text,
})

export function auditTargetTable(db: Knex, prefix: string): KnexTable<Target> {
  return new KnexTable(db, `${prefix}audit_targets`, targetColumns)
}

export function knexAudit(db: Knex, prefix: string): AuditStore {
  const table = auditTable(db, prefix)
  const targets = auditTargetTable(db, prefix)
  const oldestFirst = (narrow: Knex.QueryBuilder, { limit, after }: { limit: number; after: AuditPosition | null }) => {
    if (after) {
      const [time, id] = after
      narrow.where('time', '>=', time).where((query) => query.where('time', '>', time).orWhere('id', '>', id))
    }
    narrow.orderBy(['time', 'id']).limit(limit)
    return db.client.dialect === 'sqlite3' ? narrow : narrow.forUpdate()
  }
  return {
    async insertOrFind(record, others) {
      // What records no event can be there only once.
      if (record.eventId === null) await table.insert(record)
      else {
        const found = await table.insertOrFind(record, ['tenantId', 'time', 'id'])
        if (found) return found
      }
      if (others.length === 0) return null
      const { tenantId, time, id: entryId } = record
      await targets.insert(others.map((target, i) => ({ tenantId, time, entryId, position: i + 1, ...target })))
      return null
    },
    list: auditReader(db, table, targets.name),
    naming: (tenantId, texts, slice) =>
      table.all((query) => {
        const named = (any: Knex.QueryBuilder) => {
          for (const text of texts) any.orWhereRaw("lower(what) like lower(?) escape '!'", [likeText(text)])
        }
        return oldestFirst(query.where('tenant_id', tenantId).where(named), slice)
      }),
    by: (tenantId, userId, slice) =>
      table.all((query) =>
        oldestFirst(query.where(table.encode({ tenantId, actorId: userId, actorType: 'user' })), slice),
      ),
    async erase(tenantId, part: AuditPart, positions) {
      for (const [time, id] of positions) {
        await table.update({ tenantId, time, id }, part === 'who' ? withoutWho() : withoutWhat())
        if (part === 'what') await targets.remove({ tenantId, time, entryId: id })
      }
    },
  }
}
