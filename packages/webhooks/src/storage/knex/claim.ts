/** The claim in SQL. */
import { type Dialect, dialectOf, type KnexTable, runForEach, whereAmong } from '@org/core/knex'
import type { Knex } from 'knex'
import { leased } from '../../deliveries/claim.js'
import type { StoredDelivery } from '../../deliveries/schema.js'
import type { Claimed, ClaimRequest, Due } from '../../deliveries/store.js'

type Table = KnexTable<StoredDelivery>

/** Written out, so that SQLite sees that the index over pending rows will do. */
const pending = "status = 'pending'"

/**
 * Steps from one endpoint to the next in the index over what is pending, so that a million rows of one endpoint
 * cost as much as one. MySQL and MariaDB do that by themselves (a loose index scan), MariaDB only if the groups name the
 * index from its beginning. The columns are called what no host's `postProcessResponse` renames.
 */
export async function agenda({ db, name }: Table): Promise<Due[]> {
  const rows = rowsOf<{ id: string | null; due: unknown }>(db, await db.raw(agendaOf[dialectOf(db)](name)))
  return rows.flatMap(({ id, due }) => (id === null || due === null ? [] : { endpointId: id, dueAt: Number(due) }))
}

const agendaOf: Readonly<Record<Dialect, (name: string) => string>> = {
  postgres(name) {
    const first = (condition: string) =>
      `(select endpoint_id, due_at from ${name} where ${pending}${condition} order by endpoint_id, due_at limit 1)`
    return `with recursive e as (${first('')} union all
      select n.endpoint_id, n.due_at from e cross join lateral ${first(' and endpoint_id > e.endpoint_id')} n)
      select endpoint_id as id, due_at as due from e`
  },
  sqlite(name) {
    const next = `select min(endpoint_id) from ${name} where ${pending}`
    return `with recursive e (endpoint_id) as (${next} union all
      select (${next} and endpoint_id > e.endpoint_id) from e where e.endpoint_id is not null)
      select e.endpoint_id as id, (select min(due_at) from ${name} where ${pending} and endpoint_id = e.endpoint_id) as due from e`
  },
  mysql: (name) =>
    `select endpoint_id as id, min(due_at) as due from ${name} force index (${name}_due) where ${pending}
     group by status, endpoint_id`,
}

/** Takes the due rows of each endpoint with `FOR UPDATE SKIP LOCKED`, and leases them. SQLite has one writer. */
export async function claimDue(table: Table, request: ClaimRequest): Promise<Claimed> {
  const rows = await takeDue(table, request)
  return {
    deliveries: rows.map((row) => leased(row, request)),
    expired: rows.filter((row) => row.leaseToken !== null),
  }
}

type Rooms = readonly (readonly [endpointId: string, room: number])[]

/** As they were before they were leased. */
async function takeDue(table: Table, request: ClaimRequest): Promise<StoredDelivery[]> {
  const rooms = [...request.rooms]
  const inOrder = rooms.filter(([id]) => request.ordered.has(id))
  const free = rooms.filter(([id]) => !request.ordered.has(id))
  const { name } = table
  const dialect = dialectOf(table.db)
  // Young statistics know nothing of what was just published, and MariaDB then takes any index.
  const index = dialect === 'mysql' ? ` force index (${name}_due)` : ''
  const due = `from ${name} d${index} where ${pending} and due_at <= ? and (lease_until is null or lease_until <= ?)`
  const take = takeOf[dialect]
  return [
    ...(free.length > 0 ? await take(table, request, due, free) : []),
    ...(inOrder.length > 0 ? await take(table, request, `${due} and ${firstInOrder(table)}`, inOrder) : []),
  ]
}

type Take = (table: Table, request: ClaimRequest, due: string, rooms: Rooms) => Promise<StoredDelivery[]>

const takeOf: Readonly<Record<Dialect, Take>> = {
  /** In one statement. The ids are handed over as an array, so that no plan reads the whole table to join them. */
  async postgres(table, request, due, rooms) {
    const { db, name } = table
    const { now, dueBy, token, leaseUntil } = request
    const ids = rooms.map(([id]) => id)
    const counted = ids.filter((id) => request.counted.has(id))
    const found = await db.raw(
      `with due as materialized (select d.* from unnest(?::text[], ?::int[]) as e (id, room) cross join lateral
         (select d.* ${due} and endpoint_id = e.id order by due_at, id limit e.room for update skip locked) d),
       leased as (update ${name} set ${leasing}, counted = case when endpoint_id = any(?::text[]) then 1 else counted end
         where id = any(array(select id from due)))
       select * from due`,
      [ids, rooms.map(([, room]) => room), dueBy, now, token, leaseUntil, counted],
    )
    return found.rows.map((row: Record<string, unknown>) => table.decode(row))
  },

  /** No LATERAL, and no limit that differs by row: what is too much of one is left again, since nobody locks. */
  async sqlite(table, request, due, rooms) {
    const { db, name } = table
    const { now, dueBy, token, leaseUntil } = request
    const ids = JSON.stringify(rooms.map(([id]) => id))
    const found: Record<string, unknown>[] = await db.raw(
      `select d.* from json_each(?) e cross join ${name} d on d.rowid in
       (select d.rowid ${due} and endpoint_id = e.value order by due_at, id limit ?)`,
      [ids, dueBy, now, Math.max(...rooms.map(([, room]) => room))],
    )
    const taken = withinRooms(
      found.map((row) => table.decode(row)),
      rooms,
    )
    await runForEach(
      db,
      `update ${name} set ${leasing}, counted = coalesce(?, counted) where id = ?`,
      taken.map(({ id, endpointId }) => [token, leaseUntil, request.counted.has(endpointId) ? 1 : null, id]),
    )
    return taken
  },

  async mysql(table, request, due, rooms) {
    const { db } = table
    const { now, dueBy, token, leaseUntil } = request
    const one = `(select d.* ${due} and endpoint_id = ? order by due_at, id limit ? for update skip locked)`
    const [found]: Record<string, unknown>[][] = await db.raw(
      rooms.map(() => one).join(' union all '),
      rooms.flatMap(([endpointId, room]) => [dueBy, now, endpointId, room]),
    )
    const taken = (found ?? []).map((row) => table.decode(row))
    if (taken.length === 0) return taken
    const ids = taken.map(({ id }) => id)
    await db.raw(`update ${table.name} set ${leasing} where id in (${ids.map(() => '?').join()})`, [
      token,
      leaseUntil,
      ...ids,
    ])
    const counted = taken.filter(({ endpointId }) => request.counted.has(endpointId)).map(({ id }) => id)
    if (counted.length > 0) await table.update((query) => whereAmong(query, 'id', counted), { counted: true })
    return taken
  },
}

/** In this order: MySQL assigns from left to right. */
const leasing = `attempts = attempts + 1,
  step = step + case when lease_token is null then 1 else 0 end,
  lost = lost + case when lease_token is null then 0 else 1 end,
  lease_token = ?, lease_until = ?`

function withinRooms(rows: StoredDelivery[], rooms: Rooms): StoredDelivery[] {
  const left = new Map(rooms)
  const longestDueFirst = rows.sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))
  return longestDueFirst.filter(({ endpointId }) => {
    const room = left.get(endpointId) ?? 0
    left.set(endpointId, room - 1)
    return room > 0
  })
}

/**
 * Nothing of the same endpoint and key that goes before it is still to be sent. MariaDB has several indexes that begin
 * with the endpoint, and by itself would look at all that the endpoint ever had, for each row.
 */
function firstInOrder({ db, name }: Table): string {
  const index = dialectOf(db) === 'mysql' ? ` force index (${name}_ordered)` : ''
  return `(d.order_key is null or not exists (select 1 from ${name} b${index} where b.endpoint_id = d.endpoint_id
    and b.order_key = d.order_key and b.status in ('pending', 'held')
    and (b.position < d.position or (b.position = d.position and b.id < d.id))))`
}

/** What each driver's `raw` answers with. */
function rowsOf<Row>(db: Knex, found: unknown): Row[] {
  switch (dialectOf(db)) {
    case 'postgres':
      return (found as { rows: Row[] }).rows
    case 'mysql':
      return (found as [Row[]])[0]
    case 'sqlite':
      return found as Row[]
  }
}
