import { dialectOf, fieldsOf, flag, integer, json, KnexTable, nullable, text, whereAmong } from '@org/core/knex'
import type { Knex } from 'knex'
import type { StoredMessage } from '../../messages/schema.js'
import type { MessageStore, PublishedPlace, PublishedQuery, PublishedRow, SentMessage } from '../../messages/store.js'
import { oldestToFanOut } from './fan-outs.js'

const light = {
  id: text,
  type: text,
  channels: nullable(json<string[]>()),
  orderingKey: nullable(text),
  coalesceKey: nullable(text),
  test: flag,
  fanOutAfter: nullable(text),
  createdAt: integer,
}

const columns = fieldsOf<StoredMessage>({
  ...light,
  tenantId: text,
  body: nullable(text),
  idempotencyKey: nullable(text),
  fingerprint: text,
})

const sentColumns = fieldsOf<SentMessage>({
  id: text,
  type: text,
  channels: nullable(json<string[]>()),
  body: nullable(text),
  createdAt: integer,
})

const publishedColumns = fieldsOf<PublishedRow>(light)

export function knexMessages(db: Knex, prefix: string): MessageStore {
  const table = new KnexTable<StoredMessage>(db, `${prefix}messages`, columns)
  const published = new KnexTable<PublishedRow>(db, `${prefix}messages`, publishedColumns)
  const sent = new KnexTable<SentMessage>(db, `${prefix}messages`, sentColumns)
  const sqlite = dialectOf(db) === 'sqlite'
  /** Still to be fanned out. MariaDB might go through all that was ever published to the tenant. */
  const waiting = (query: Knex.QueryBuilder, tenantId: string) =>
    dialectOf(db) === 'mysql'
      ? query
          .from(db.raw('?? force index (??)', [table.name, `${table.name}_fan_out`]))
          .where({ fanning: 1, tenant_id: tenantId })
      : query.where('tenant_id', tenantId).whereNotNull('fan_out_after')
  return {
    async insertOrFind(message) {
      if (message.idempotencyKey !== null) return table.insertOrFind(message, ['tenantId', 'idempotencyKey'])
      await table.insert(message)
      return null
    },
    insert: (messages) => table.insert(messages),
    get: (tenantId, id) => table.find({ tenantId, id }),
    byIds: (ids) => sent.among('id', ids),
    async withPayload(ids, { keep = false } = {}) {
      if (ids.length === 0) return []
      const some = table.query((query) => whereAmong(query, 'id', ids).whereNotNull('body').select('id'))
      const found: { id: string }[] = await (keep && !sqlite ? some.orderBy('id').forShare() : some)
      return found.map((row) => row.id)
    },
    published: (query, { limit, after }) =>
      published.all((rows) => {
        if (after) {
          // Not as a pair, for which MySQL and MariaDB use no index.
          rows.where('created_at', '>=', after.createdAt)
          rows.where((or) => or.where('created_at', '>', after.createdAt).orWhere('id', '>', after.id))
        }
        return ofQuery(rows, query).orderBy('created_at').orderBy('id').limit(limit)
      }),
    async countPublished(query, limit) {
      const some = ofQuery(table.query(), query).limit(limit).select('id')
      const [row]: { count?: unknown }[] = await db.count({ count: '*' }).from(some.as('some'))
      return Number(row?.count)
    },
    async lastPublished(tenantId) {
      const [last] = await published.all((rows) =>
        rows.where('tenant_id', tenantId).orderBy('created_at', 'desc').orderBy('id', 'desc').limit(1),
      )
      return last ? placeOf(last) : null
    },
    async stopFanOut({ id, tenantId, coalesceKey }) {
      const rows: { id: string }[] = await table
        .query((query) => waiting(query, tenantId).where('coalesce_key', coalesceKey).whereNot('id', id))
        .select('id')
      if (rows.length === 0) return
      const others = rows.map((row) => row.id)
      await table.among('id', others, (query) => (sqlite ? query : query.orderBy('id').forUpdate()))
      await table.update((query) => whereAmong(query, 'id', others), { fanOutAfter: null })
    },
    async toFanOut(limit) {
      const ids = await oldestToFanOut(db, table.name)
      return table.among('id', ids, (query) => {
        query.whereNotNull('fan_out_after').orderBy('id').limit(limit)
        return sqlite ? query : query.forUpdate().skipLocked()
      })
    },
    async anyToFanOut(tenantId) {
      const rows: unknown[] = await table.query((query) => waiting(query, tenantId).limit(1)).select('id')
      return rows.length > 0
    },
    update: async (id, patch) => void (await table.update({ id }, patch)),
  }
}

const placeOf = ({ createdAt, id }: PublishedPlace): PublishedPlace => ({ createdAt, id })

function ofQuery(rows: Knex.QueryBuilder, { tenantId, since, until, upTo }: PublishedQuery): Knex.QueryBuilder {
  rows.where('tenant_id', tenantId).where('created_at', '<=', upTo.createdAt)
  rows.where((or) => or.where('created_at', '<', upTo.createdAt).orWhere('id', '<=', upTo.id))
  if (since !== null) rows.where('created_at', '>=', since)
  if (until !== null) rows.where('created_at', '<', until)
  return rows
}
