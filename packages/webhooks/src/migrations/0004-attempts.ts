import { createTable } from '@org/core/knex'

export const attempts = createTable('0004-attempts', 'attempts', (column, table) => {
  column.id('delivery_id', 64)
  column.integer('number')
  column.text('url')
  column.id('address', 64).nullable()
  column.json('request_headers')
  column.integer('status').nullable()
  column.json('response_headers').nullable()
  column.text('response_body').nullable()
  column.flag('response_truncated')
  column.id('error', 32).nullable()
  column.text('detail').nullable()
  column.bigint('started_at')
  column.integer('duration_ms')
  table.primary(['delivery_id', 'number']) // attempts of one delivery
})
