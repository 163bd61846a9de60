import { createTable } from '@org/core/knex'

export const usageEvents = createTable('0006-usage-events', 'usage_events', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('meter', 64)
  column.bigint('quantity')
  column.id('idempotency_key')
  column.bigint('time')
  column.id('holder', 64)
  column.bigint('window_start')
  column.bigint('created_at')
  table.unique(['tenant_id', 'meter', 'idempotency_key'], { indexName: named('key') }) // a key counts once
  table.index(['tenant_id', 'holder', 'meter', 'window_start'], named('window')) // recount()
})
