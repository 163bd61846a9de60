import { createTable } from '@org/core/knex'

export const deliveries = createTable('0003-deliveries', 'deliveries', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('message_id', 64)
  column.id('endpoint_id', 64)
  column.id('event_type')
  column.id('status', 16)
  column.integer('attempts')
  column.integer('step')
  column.bigint('due_at')
  column.id('lease_token', 64).nullable()
  column.integer('last_status').nullable()
  column.id('last_error', 32).nullable()
  column.bigint('created_at')
  column.bigint('ended_at').nullable()
  table.index(['status', 'due_at', 'endpoint_id'], named('due')) // claim
  table.index(['tenant_id', 'status', 'id'], named('tenant_status')) // dead letters; list by status
  table.index(['tenant_id', 'id'], named('tenant')) // list
  table.index(['endpoint_id', 'id'], named('endpoint')) // list of one endpoint; release and cancel
  table.index(['message_id'], named('message')) // list of one message
})
