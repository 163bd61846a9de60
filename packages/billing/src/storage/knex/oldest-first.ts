import type { Knex } from 'knex'

/** A page by id: ids are time-sortable. */
export function oldestFirst(query: Knex.QueryBuilder, { limit, after }: { limit: number; after: [string] | null }) {
  if (after) query.where('id', '>', after[0])
  return query.orderBy('id').limit(limit)
}
