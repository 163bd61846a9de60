/** Which endpoints have something pending, in SQL. */
import { type Dialect, dialectOf } from '@org/core/knex'
import type { Due } from '../../deliveries/store.js'
import { type DeliveryTable, pending } from './due.js'
import { rowsOf } from './rows.js'

/**
 * Steps from one endpoint to the next in the index over what is pending, so that a million rows of one endpoint
 * cost as much as one. MySQL and MariaDB do that by themselves (a loose index scan), MariaDB only if the groups name the
 * index from its beginning. The columns are called what no host's `postProcessResponse` renames.
 */
export async function agenda({ db, name }: DeliveryTable): Promise<Due[]> {
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
