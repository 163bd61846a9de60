/**
 * What a claim may take of endpoints that keep an order. That costs by what is taken and, in a backlog, by how many keys
 * there are: never by how many wait in one of them.
 */
import { type Dialect, dialectOf } from '@org/core/knex'
import type { ClaimRequest } from '../../deliveries/store.js'
import { allDue, type DeliveryTable, isDue, isDueRow } from './due.js'

/** Those whose turn it is among the first that are due: `window` of them. */
export function firstOfDue(table: DeliveryTable, endpoint: string): string {
  const { db, name } = table
  const turn = `${isHead(table, endpoint)} and ${noneIsSent(table, endpoint)}`
  const window = `${allDue(table, endpoint)} limit :window`
  if (dialectOf(db) !== 'postgres') return `from (select d.id ${window}) c ${rowOf(table, 'c')} and ${turn}`
  // Up to the last of them by the index's own order: so no more rows are locked than taken.
  return `from ${name} d where ${isDue} and d.endpoint_id = ${endpoint} and (d.due_at, d.id) <=
    (select w.due_at, w.id from (select d.due_at, d.id ${window}) w order by w.due_at desc, w.id desc limit 1)
    and ${turn} order by d.due_at, d.id`
}

/** The heads of all keys, and the first of those that have no key: whatever of them is due. */
export function headsOfKeys(table: DeliveryTable, endpoint: string): string {
  const { db, name } = table
  const dialect = dialectOf(db)
  const ids = `${headsOf[dialect](table, endpoint)} union all select f.id from (select d.id ${free(table, endpoint)}) f`
  const inOrder = `${noneIsSent(table, endpoint)} order by d.due_at, d.id`
  if (dialect === 'postgres') return `from ${name} d where d.id = any(array(${ids})) and ${isDueRow} and ${inOrder}`
  // Sorted before they are locked: a sort would lock all of them.
  return `from (select d.id from (${ids}) h ${rowOf(table, 'h')} and ${inOrder} limit :window) c ${rowOf(table, 'c')}`
}

/** Those of the endpoints that have so many due. */
export async function withMoreDue(
  table: DeliveryTable,
  { now, dueBy }: ClaimRequest,
  ids: readonly string[],
  count: number,
): Promise<string[]> {
  if (ids.length === 0) return []
  const { db } = table
  const last = (endpoint: string) => `(select d.id ${allDue(table, endpoint)} limit 1 offset :before) is not null`
  const before = count - 1
  switch (dialectOf(db)) {
    case 'postgres': {
      const sql = `select e.id from unnest(:ids::text[]) as e (id) where ${last('e.id')}`
      const { rows }: { rows: { id: string }[] } = await db.raw(sql, { ids: ids as string[], now, dueBy, before })
      return rows.map(({ id }) => id)
    }
    case 'sqlite': {
      const sql = `select e.value as id from json_each(:ids) e where ${last('e.value')}`
      const rows: { id: string }[] = await db.raw(sql, { ids: JSON.stringify(ids), now, dueBy, before })
      return rows.map(({ id }) => id)
    }
    case 'mysql': {
      const sql = ids.map((_, n) => `select :id${n} as id from dual where ${last(`:id${n}`)}`).join(' union all ')
      const own = Object.fromEntries(ids.map((id, n) => [`id${n}`, id]))
      const [rows]: { id: string }[][] = await db.raw(sql, { ...own, now, dueBy, before })
      return (rows ?? []).map(({ id }) => id)
    }
  }
}

/** The rows of a list of ids, in its order. MariaDB and SQLite keep to it when they are told where to begin. */
function rowOf({ db, name }: DeliveryTable, list: string): string {
  const join = dialectOf(db) === 'mysql' ? 'straight_join' : 'cross join'
  return `${join} ${name} d on d.id = ${list}.id where ${isDueRow}`
}

/** Nothing of its key that goes before it is still to be sent. */
const isHead = (table: DeliveryTable, endpoint: string) =>
  `(d.order_key is null or d.id = ${headOf(table, endpoint, 'd.order_key')})`

/** Nothing of its key is being sent: after a redrive that may be one that goes behind it. */
function noneIsSent({ db, name }: DeliveryTable, endpoint: string): string {
  const index = dialectOf(db) === 'mysql' ? ` force index (${name}_counted)` : ''
  return `(d.order_key is null or d.order_key not in (select l.order_key from ${name} l${index}
    where l.endpoint_id = ${endpoint} and l.counted = 1 and l.lease_until > :now and l.order_key is not null))`
}

/** The rows of an endpoint in their orders, by the index over those. Its columns are `lane` and `place` on MySQL. */
function ordered({ db, name }: DeliveryTable, endpoint: string): string {
  if (dialectOf(db) === 'mysql') return `from ${name} o force index (${name}_ordered) where o.lane = ${endpoint}`
  return `from ${name} o where o.endpoint_id = ${endpoint} and o.status in ('pending', 'held')`
}

function headOf(table: DeliveryTable, endpoint: string, key: string): string {
  const place = dialectOf(table.db) === 'mysql' ? 'place' : 'position'
  return `(select o.id ${ordered(table, endpoint)} and o.order_key = ${key} order by o.${place}, o.id limit 1)`
}

/** Steps from key to key, as the agenda does from endpoint to endpoint. */
const headsOf: Readonly<Record<Dialect, (table: DeliveryTable, endpoint: string) => string>> = {
  postgres(table, endpoint) {
    const next = (after: string) =>
      `select o.order_key, o.id ${ordered(table, endpoint)} and ${after} order by o.order_key, o.position, o.id limit 1`
    return `with recursive k as ((${next('o.order_key is not null')}) union all
      select n.* from k cross join lateral (${next('o.order_key > k.order_key')}) n) select k.id from k`
  },
  sqlite(table, endpoint) {
    const next = `select min(o.order_key) ${ordered(table, endpoint)}`
    return `with recursive k (order_key) as (${next} and o.order_key is not null union all
      select (${next} and o.order_key > k.order_key) from k where k.order_key is not null)
      select ${headOf(table, endpoint, 'k.order_key')} as id from k where k.order_key is not null`
  },
  mysql: (table, endpoint) =>
    `select ${headOf(table, endpoint, 'k.order_key')} as id from (select o.order_key ${ordered(table, endpoint)}
     and o.order_key is not null group by o.lane, o.order_key) k`,
}

/** What has no key, in an index of its own or on MySQL in that of the orders: a backlog of a key does not hide it. */
function free(table: DeliveryTable, endpoint: string): string {
  const { db, name } = table
  const where = `where ${isDue} and d.order_key is null`
  return dialectOf(db) === 'mysql'
    ? `from ${name} d force index (${name}_ordered) ${where} and d.lane = ${endpoint} and d.place <= :dueBy
       order by d.place, d.id limit :window`
    : `from ${name} d ${where} and d.position > 0 and d.endpoint_id = ${endpoint}
       order by d.due_at, d.id limit :window`
}
