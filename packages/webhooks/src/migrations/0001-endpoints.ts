import { createTable } from '@org/core/knex'

export const endpoints = createTable('0001-endpoints', 'endpoints', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.text('url')
  column.text('description').nullable()
  column.json('event_types').nullable()
  column.json('channels').nullable()
  column.json('metadata')
  column.flag('enabled')
  column.id('disabled_reason', 16).nullable()
  column.json('secrets')
  column.bigint('created_at')
  column.bigint('updated_at')
  table.index(['tenant_id', 'id'], named('tenant')) // list; fan-out
})
