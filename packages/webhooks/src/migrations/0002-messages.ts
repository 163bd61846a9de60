import { createTable } from '@org/core/knex'

export const messages = createTable('0002-messages', 'messages', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('type')
  column.text('body')
  column.json('channels').nullable()
  column.id('idempotency_key').nullable()
  column.id('fingerprint', 64)
  column.integer('deliveries')
  column.bigint('created_at')
  table.unique(['tenant_id', 'idempotency_key'], { indexName: named('idempotency') }) // publish once for each key
})
