import { createTable } from '@org/core/knex'

/** What the engine knows of an endpoint; apart from its settings, which the host's own transactions may have locked. */
export const health = createTable('0005-health', 'health', (column) => {
  column.id('endpoint_id', 64).primary()
  column.id('tenant_id')
  column.integer('failures')
  column.bigint('failing_since').nullable()
  column.bigint('open_until').nullable()
  column.integer('opened')
  column.bigint('bucket_at')
})
