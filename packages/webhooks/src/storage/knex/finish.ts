/** The end of what was delivered, in SQL: one statement that reads nothing first, where the database can say what it changed. */
import { dialectOf, type KnexTable, runForEach, whereAmong } from '@org/core/knex'
import { ended } from '../../deliveries/finish.js'
import type { StoredDelivery } from '../../deliveries/schema.js'
import type { Delivered } from '../../deliveries/store.js'

type Table = KnexTable<StoredDelivery>

export async function finishDelivered(
  table: Table,
  delivered: readonly Delivered[],
  now: number,
): Promise<ReadonlySet<string>> {
  if (delivered.length === 0) return new Set()
  // Everybody locks rows in this order.
  const inOrder = delivered.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return finishOf[dialectOf(table.db)](table, inOrder, table.encode(ended(now)))
}

type Finish = (table: Table, rows: readonly Delivered[], patch: Record<string, unknown>) => Promise<Set<string>>

const finishOf = {
  async postgres({ db, name }, rows, patch) {
    const columns = Object.keys(patch)
    const { rows: found }: { rows: { id: string }[] } = await db.raw(
      `update ${name} d set ${columns.map((column) => `${column} = ?`).join()}, last_status = r.status
       from unnest(?::text[], ?::text[], ?::int[]) as r (id, token, status)
       where d.id = r.id and d.lease_token = r.token returning d.id`,
      [...columns.map((column) => patch[column] as string), ...columnsOf(rows)],
    )
    return new Set(found.map(({ id }) => id))
  },

  async sqlite({ db, name }, rows, patch) {
    const columns = Object.keys(patch)
    const set = columns.map((column) => `${column} = ?`).join()
    const values = columns.map((column) => patch[column])
    const update = `update ${name} set ${set}, last_status = ? where id = ? and lease_token = ?`
    const changes = await runForEach(
      db,
      update,
      rows.map(({ id, leaseToken, status }) => [...values, status, id, leaseToken]),
    )
    return new Set(rows.filter((_, index) => changes[index] === 1).map(({ id }) => id))
  },

  async mysql(table, rows, patch) {
    const ids = rows.map(({ id }) => id)
    const locked: { id: string; of: string | null }[] = await table
      .query((query) => whereAmong(query, 'id', ids))
      .orderBy('id')
      .forUpdate()
      .select({ id: 'id', of: 'lease_token' })
    const tokens = new Map(locked.map(({ id, of }) => [id, of]))
    const ours = rows.filter(({ id, leaseToken }) => tokens.get(id) === leaseToken)
    for (const status of new Set(ours.map((row) => row.status))) {
      const alike = ours.filter((row) => row.status === status).map(({ id }) => id)
      await table.query((query) => whereAmong(query, 'id', alike)).update({ ...patch, last_status: status })
    }
    return new Set(ours.map(({ id }) => id))
  },
} satisfies Record<string, Finish>

const columnsOf = (rows: readonly Delivered[]) =>
  [rows.map(({ id }) => id), rows.map(({ leaseToken }) => leaseToken), rows.map(({ status }) => status)] as string[][]
