/** What is due, in SQL. */
import { dialectOf, type KnexTable } from '@org/core/knex'
import type { StoredDelivery } from '../../deliveries/schema.js'

export type DeliveryTable = KnexTable<StoredDelivery>

/** Written out, so that SQLite sees that the index over pending rows will do. */
export const pending = "status = 'pending'"

const isFree = '(d.lease_until is null or d.lease_until <= :now)'

/** What may be taken, under the alias `d`. Binds `dueBy` and `now`. */
export const isDue = `d.${pending} and d.due_at <= :dueBy and ${isFree}`

/** The same, in words that no index answers: of rows that are found by their ids, and not by going through all due. */
export const isDueRow = `case when d.${pending} then d.due_at end <= :dueBy and ${isFree}`

/** What is due of an endpoint, the longest due first. `endpoint` is an expression of its id. */
export function allDue({ db, name }: DeliveryTable, endpoint: string): string {
  // Young statistics know nothing of what was just published, and MariaDB then takes any index.
  const index = dialectOf(db) === 'mysql' ? ` force index (${name}_due)` : ''
  return `from ${name} d${index} where ${isDue} and d.endpoint_id = ${endpoint} order by d.due_at, d.id`
}
