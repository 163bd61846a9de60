/** The claim in SQL. */
import { type Dialect, dialectOf, runForEach } from '@org/core/knex'
import { isCounted, leased } from '../../deliveries/claim.js'
import type { StoredDelivery } from '../../deliveries/schema.js'
import type { Claimed, ClaimRequest } from '../../deliveries/store.js'
import { allDue, type DeliveryTable } from './due.js'
import { firstOfDue, headsOfKeys, withMoreDue } from './order.js'

/** Says where the rows of an endpoint come from: all after `select d.*`. `endpoint` is an expression of its id. */
type Source = (table: DeliveryTable, endpoint: string) => string

type Rooms = readonly (readonly [endpointId: string, room: number])[]

/** Takes the due rows of each endpoint with `FOR UPDATE SKIP LOCKED`, and leases them. SQLite has one writer. */
export async function claimDue(table: DeliveryTable, request: ClaimRequest): Promise<Claimed> {
  const rooms = [...request.rooms]
  const inOrder = rooms.filter(([id]) => request.ordered.has(id))
  const free = rooms.filter(([id]) => !request.ordered.has(id))
  const rows = [
    ...(free.length > 0 ? await takeOf[dialectOf(table.db)](table, request, allDue, free, 0) : []),
    ...(inOrder.length > 0 ? await takeInOrder(table, request, inOrder) : []),
  ]
  return {
    deliveries: rows.map((row) => leased(row, request)),
    expired: rows.filter((row) => row.leaseToken !== null),
  }
}

/**
 * The first of those that are due are mostly enough. Where they are many and most of them wait for others, all heads of
 * the keys are looked at.
 */
async function takeInOrder(table: DeliveryTable, request: ClaimRequest, rooms: Rooms): Promise<StoredDelivery[]> {
  const take = takeOf[dialectOf(table.db)]
  const most = Math.max(...rooms.map(([, room]) => room))
  const window = Math.max(100, 4 * most)
  const taken = await take(table, request, firstOfDue, rooms, window)
  const left = roomsLeft(rooms, taken)
  // What was taken of a full window is leased by now; the rest of it is still due.
  const full = await withMoreDue(table, request, [...left.keys()], window - most)
  const rest = full.map((id) => [id, left.get(id) ?? 0] as const)
  if (rest.length > 0) taken.push(...(await take(table, request, headsOfKeys, rest, window)))
  return taken
}

/** As they were before they were leased. `window` is bound for sources that look no further. */
type Take = (
  table: DeliveryTable,
  request: ClaimRequest,
  source: Source,
  rooms: Rooms,
  window: number,
) => Promise<StoredDelivery[]>

const takeOf: Readonly<Record<Dialect, Take>> = {
  /** In one statement. The ids are handed over as an array, so that no plan reads the whole table to join them. */
  async postgres(table, request, source, rooms, window) {
    const { db, name } = table
    const { now, dueBy, token, leaseUntil } = request
    const ids = rooms.map(([id]) => id)
    const counted = ids.filter((id) => isCounted(id, request))
    const found = await db.raw(
      `with due as materialized (select d.* from unnest(:ids::text[], :rooms::int[]) as e (id, room) cross join lateral
         (select d.* ${source(table, 'e.id')} limit e.room for update of d skip locked) d),
       leased as (update ${name} set ${leasing(':token', ':leaseUntil')},
         counted = case when endpoint_id = any(:counted::text[]) then 1 else counted end
         where id = any(array(select id from due)))
       select * from due`,
      { ids, rooms: rooms.map(([, room]) => room), dueBy, now, window, token, leaseUntil, counted },
    )
    return found.rows.map((row: Record<string, unknown>) => table.decode(row))
  },

  /** No LATERAL, and no limit that differs by row: what is too much of one is left again, since nobody locks. */
  async sqlite(table, request, source, rooms, window) {
    const { db, name } = table
    const { now, dueBy, token, leaseUntil } = request
    const ids = JSON.stringify(rooms.map(([id]) => id))
    const found: Record<string, unknown>[] = await db.raw(
      `select d.* from json_each(:ids) e cross join ${name} d on d.rowid in
       (select d.rowid ${source(table, 'e.value')} limit :most)`,
      { ids, dueBy, now, window, most: Math.max(...rooms.map(([, room]) => room)) },
    )
    const taken = withinRooms(
      found.map((row) => table.decode(row)),
      rooms,
    )
    await runForEach(
      db,
      `update ${name} set ${leasing('?', '?')}, counted = coalesce(?, counted) where id = ?`,
      taken.map(({ id, endpointId }) => [token, leaseUntil, isCounted(endpointId, request) ? 1 : null, id]),
    )
    return taken
  },

  async mysql(table, request, source, rooms, window) {
    const { db, name } = table
    const { now, dueBy, token, leaseUntil } = request
    const parts = rooms.map((_, n) => `(select d.* ${source(table, `:id${n}`)} limit :room${n} for update skip locked)`)
    const own = rooms.flatMap(([id, room], n) => [[`id${n}`, id] as const, [`room${n}`, room] as const])
    const bindings = { ...Object.fromEntries(own), dueBy, now, window }
    const [found]: Record<string, unknown>[][] = await db.raw(parts.join(' union all '), bindings)
    const taken = (found ?? []).map((row) => table.decode(row))
    if (taken.length === 0) return taken
    const ids = taken.map(({ id }) => id)
    const counted = rooms.flatMap(([id]) => (isCounted(id, request) ? [id] : []))
    const count = counted.length > 0 ? `, counted = if(endpoint_id in (${marks(counted)}), 1, counted)` : ''
    await db.raw(`update ${name} set ${leasing('?', '?')}${count} where id in (${marks(ids)})`, [
      token,
      leaseUntil,
      ...counted,
      ...ids,
    ])
    return taken
  },
}

const marks = (values: readonly unknown[]) => values.map(() => '?').join()

/** In this order: MySQL assigns from left to right. */
const leasing = (token: string, until: string) => `attempts = attempts + 1,
  step = step + case when lease_token is null then 1 else 0 end,
  lost = lost + case when lease_token is null then 0 else 1 end,
  lease_token = ${token}, lease_until = ${until}`

function withinRooms(rows: StoredDelivery[], rooms: Rooms): StoredDelivery[] {
  const left = new Map(rooms)
  const longestDueFirst = rows.sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))
  return longestDueFirst.filter(({ endpointId }) => {
    const room = left.get(endpointId) ?? 0
    left.set(endpointId, room - 1)
    return room > 0
  })
}

function roomsLeft(rooms: Rooms, taken: readonly StoredDelivery[]): Map<string, number> {
  const left = new Map(rooms)
  for (const { endpointId } of taken) left.set(endpointId, (left.get(endpointId) ?? 0) - 1)
  return new Map([...left].filter(([, room]) => room > 0))
}
