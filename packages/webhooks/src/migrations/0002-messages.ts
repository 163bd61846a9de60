import { createTable } from '@org/core/knex'

export const messages = createTable('0002-messages', 'messages', (column, table, named, where) => {
  column.id('id', 64).primary() // also the order of retention
  column.id('tenant_id')
  column.id('type')
  column.text('body').nullable()
  column.json('channels').nullable()
  column.id('idempotency_key').nullable()
  column.id('ordering_key').nullable()
  column.id('coalesce_key').nullable()
  column.id('fingerprint', 64)
  column.id('fan_out_after', 64).nullable()
  column.bigint('created_at')
  table.unique(['tenant_id', 'idempotency_key'], { indexName: named('idempotency') }) // publish once for each key
  table.index(['tenant_id', 'created_at', 'id'], named('tenant')) // list; replay since
  table.index(['tenant_id', 'coalesce_key'], named('coalesce'), {
    predicate: where('coalesce_key is not null'),
  }) // what a message takes the place of
  table.index(['fan_out_after'], named('fan_out'), { predicate: where('fan_out_after is not null') }) // still to be fanned out
})
