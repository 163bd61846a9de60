import { createTable } from '@org/core/knex'

export const auditEntries = createTable('0003-audit-entries', 'audit_entries', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('event_id').nullable()
  column.id('tenant_id')
  column.bigint('time')
  column.id('actor_type', 16)
  column.id('actor_id', 255)
  column.id('action')
  column.id('resource_type', 64).nullable()
  column.id('resource_id', 255).nullable()
  column.id('outcome', 16)
  column.json('data')
  column.json('before').nullable()
  column.json('after').nullable()
  column.text('ip').nullable()
  column.text('user_agent').nullable()
  column.text('request_id').nullable()
  table.unique(['tenant_id', 'event_id'], { indexName: named('event') }) // insertOrFind
  table.index(['tenant_id', 'time', 'id'], named('time')) // list, by time
  table.index(['tenant_id', 'actor_id', 'time', 'id'], named('actor')) // list, by user
  table.index(['tenant_id', 'action', 'time', 'id'], named('action')) // list, by action
  table.index(['tenant_id', 'resource_type', 'resource_id', 'time', 'id'], named('resource')) // list, by resource
})
