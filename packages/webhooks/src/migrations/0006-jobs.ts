import { createTable } from '@org/core/knex'

export const jobs = createTable('0006-jobs', 'jobs', (column, table, named, where) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('kind', 16)
  column.id('status', 16)
  column.id('endpoint_id', 64).nullable()
  column.json('params')
  column.integer('processed')
  column.integer('affected')
  column.integer('skipped')
  column.integer('total').nullable()
  column.id('error', 32).nullable()
  column.json('reached').nullable()
  column.json('up_to').nullable()
  column.id('lease_token', 64).nullable()
  column.bigint('lease_until').nullable()
  column.bigint('turn_at')
  column.bigint('created_at')
  column.bigint('updated_at')
  column.bigint('ended_at').nullable()
  table.index(['tenant_id', 'id'], named('tenant')) // list
  table.index(['status', 'turn_at'], named('turn'), { predicate: where("status = 'running'") }) // whose turn it is
})
