import { createTable, dialectOf, type Migration } from '@org/core/knex'
import { bucketFields } from '../stats/schema.js'

const table = createTable('0007-stats', 'stats', (column, table, named) => {
  column.id('endpoint_id', 64)
  column.bigint('hour')
  column.id('tenant_id')
  column.integer('attempts')
  column.integer('failures').defaultTo(0)
  column.bigint('duration_ms')
  column.bigint('max_ms')
  for (const field of bucketFields) column.integer(field.replace('upTo', 'up_to')).defaultTo(0)
  table.primary(['endpoint_id', 'hour']) // adding; stats of one endpoint
  table.index(['hour'], named('hour')) // retention
})

/** The hour's own row is changed with each batch: PostgreSQL is told to leave room in the page for its next versions. */
export const stats: Migration = {
  ...table,
  async up(knex, prefix) {
    await table.up(knex, prefix)
    if (dialectOf(knex) === 'postgres') await knex.raw('alter table ?? set (fillfactor = 50)', [`${prefix}stats`])
  },
}
