import {
  type Column,
  dialectOf,
  fieldsOf,
  flag,
  integer,
  KnexTable,
  nullable,
  oneOf,
  text,
  whereAmong,
} from '@org/core/knex'
import type { Knex } from 'knex'
import { type AttemptError, besideOrder, type DeliveryStatus, type StoredDelivery } from '../../deliveries/schema.js'
import type { DeliveryStore, SetAside, SetAsideQuery } from '../../deliveries/store.js'
import { agenda } from './agenda.js'
import { knexAttempts } from './attempts.js'
import { claimDue } from './claim.js'
import { finishDelivered } from './finish.js'
import { deliveryLists } from './lists.js'

const columns = fieldsOf<StoredDelivery>({
  id: text,
  tenantId: text,
  messageId: text,
  endpointId: text,
  eventType: text,
  status: oneOf<DeliveryStatus>(),
  attempts: integer,
  step: integer,
  dueAt: integer,
  leaseToken: nullable(text),
  leaseUntil: nullable(integer),
  lost: integer,
  counted: nullable(flag as Column<true>),
  orderKey: nullable(text),
  position: integer,
  coalesceKey: nullable(text),
  lastStatus: nullable(integer),
  lastError: nullable(oneOf<AttemptError>()),
  createdAt: integer,
  endedAt: nullable(integer),
})

/** Written out: SQLite takes the indexes over such rows only then. */
const waiting = "status in ('pending', 'held')"

const setAsideColumns = fieldsOf<SetAside>({ id: text, messageId: text, eventType: text, createdAt: integer })

export function knexDeliveries(db: Knex, prefix: string): DeliveryStore {
  const table = new KnexTable<StoredDelivery>(db, `${prefix}deliveries`, columns)
  const attempts = knexAttempts(db, prefix)
  // As `0003-deliveries` has them in the index.
  const [lane, place] = dialectOf(db) === 'mysql' ? ['lane', 'place'] : ['endpoint_id', 'position']
  const inOrder = (query: Knex.QueryBuilder, endpointId: string, orderKey: string) =>
    query.where({ [lane]: endpointId, order_key: orderKey }).whereRaw(waiting)
  const setAside = new KnexTable<SetAside>(db, `${prefix}deliveries`, setAsideColumns)
  const lockAll = (ids: readonly string[]) =>
    table.among('id', ids, (query) =>
      dialectOf(db) === 'sqlite' ? query.orderBy('id') : query.orderBy('id').forUpdate(),
    )
  return {
    insert: (deliveries) => table.insert(deliveries),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    lockAll,
    ...deliveryLists(table),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    updateAll: async (ids, patch) => void (await table.update((query) => whereAmong(query, 'id', ids), patch)),

    agenda: () => agenda(table),
    claim: (request) => claimDue(table, request),
    finishDelivered: (delivered, now) => finishDelivered(table, delivered, now),
    async inFlight(endpointIds, now) {
      const rows: { of: string; count: unknown }[] = await table
        .query((query) =>
          query.whereIn('endpoint_id', endpointIds).whereNotNull('counted').where('lease_until', '>', now),
        )
        .groupBy('endpoint_id')
        .select({ of: 'endpoint_id' })
        .count({ count: '*' })
      return new Map(rows.map((row) => [row.of, Number(row.count)]))
    },
    updateEach: (patches) => table.updateEach('id', patches),

    lastInOrder: (endpointId, orderKey) =>
      table.find((query) => inOrder(query, endpointId, orderKey).orderBy(place, 'desc')),
    async moveBehind(endpointId, orderKey, position, dueAt) {
      const behind = (query: Knex.QueryBuilder) =>
        inOrder(query, endpointId, orderKey)
          .where('status', 'pending')
          .whereNull('lease_token')
          .where(place, '>', position)
      await table.update(behind, { dueAt })
    },

    lockWaiting: (of) =>
      table.all((query) => {
        query.where(table.encode(of)).whereRaw(waiting).orderBy('id')
        // MariaDB would rather go through all that the tenant has pending.
        if (dialectOf(db) === 'mysql' && 'coalesceKey' in of) {
          query.from(db.raw('?? force index (??)', [table.name, `${table.name}_coalesce`]))
          query.where('coalescing', of.coalesceKey)
        }
        return dialectOf(db) === 'sqlite' ? query : query.forUpdate()
      }),
    async setAside(query, { limit, after }) {
      // One status at a time is a walk along an index; for both at once, databases would look at all of an endpoint's.
      const parts = query.statuses.map((status) => {
        const rows = ofStatus(table.query(), query, status).orderBy('id').limit(limit)
        if (after) rows.where('id', '>', after[0])
        return db.select('*').from(rows.select('id', 'message_id', 'event_type', 'created_at').as(status))
      })
      const found: Record<string, unknown>[] = await db.queryBuilder().unionAll(parts).orderBy('id').limit(limit)
      return found.map((row) => setAside.decode(row))
    },
    async countSetAside(query, limit) {
      let total = 0
      for (const status of query.statuses) {
        const some = ofStatus(table.query(), query, status).orderBy('id').limit(limit).select('id')
        const [row]: { count?: unknown }[] = await db.count({ count: '*' }).from(some.as('some'))
        total += Number(row?.count)
      }
      return Math.min(total, limit)
    },
    async lastId(tenantId, endpointId) {
      const where = endpointId === null ? { tenant_id: tenantId } : { endpoint_id: endpointId }
      const [row] = await table.query((rows) => rows.where(where)).max({ id: 'id' })
      return row?.id ?? null
    },
    async idsTo(endpointId, messageIds) {
      if (messageIds.length === 0) return []
      const rows: { id: string }[] = await table
        .query((query) => whereAmong(query, 'message_id', messageIds).where('endpoint_id', endpointId))
        .select('id')
      return rows.map(({ id }) => id)
    },
    async countOf(messageId) {
      const [row] = await table.query({ messageId }).count({ count: '*' })
      return Number(row?.count)
    },

    standBeside: async (endpointId) =>
      void (await table.update(
        (query) =>
          query
            .where({ endpoint_id: endpointId, position: 0 })
            .whereNull('order_key')
            .whereIn('status', ['pending', 'held', 'dead_letter']),
        { position: besideOrder },
      )),
    async releaseHeld(endpointId, now, limit) {
      // The oldest first, in the order of the index that there is.
      const first = dialectOf(db) === 'mysql' ? ['due_at', 'id'] : ['id']
      const found: { id: string }[] = await table
        .query({ endpointId })
        .whereRaw("status = 'held' and status in ('dead_letter', 'held')")
        .orderBy(first)
        .limit(limit)
        .select('id')
      const locked = await lockAll(found.map(({ id }) => id))
      const ids = locked.filter(({ status }) => status === 'held').map(({ id }) => id)
      if (ids.length > 0) await table.update((query) => whereAmong(query, 'id', ids), { status: 'pending', dueAt: now })
      return found.length
    },
    cancelAll: async (endpointId, now) =>
      void (await table.update(
        (query) => query.where('endpoint_id', endpointId).whereIn('status', ['pending', 'held']),
        {
          status: 'canceled',
          endedAt: now,
        },
      )),

    ...attempts,
  }
}

/** The condition of the index is written out: SQLite takes it only then. */
function ofStatus(
  rows: Knex.QueryBuilder,
  { tenantId, endpointId, since, until, upTo }: SetAsideQuery,
  status: SetAsideQuery['statuses'][number],
): Knex.QueryBuilder {
  rows.where({ tenant_id: tenantId, status }).whereRaw("status in ('dead_letter', 'held')").where('id', '<=', upTo)
  if (endpointId !== null) rows.where('endpoint_id', endpointId)
  if (since !== null) rows.where('created_at', '>=', since)
  if (until !== null) rows.where('created_at', '<', until)
  return rows
}
