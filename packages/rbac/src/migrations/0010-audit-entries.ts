import { createTable } from '@org/core/knex'

export const auditEntries = createTable('0010-audit-entries', 'audit_entries', (column, table, named, where) => {
  column.id('id', 64)
  column.id('event_id').nullable()
  column.id('tenant_id')
  column.bigint('time')
  column.id('actor_type', 16)
  column.id('actor_id', 255)
  column.id('action')
  column.id('outcome', 16)
  column.id('resource_type', 64).nullable()
  column.id('resource_id', 255).nullable()
  column.text('ip').nullable()
  column.text('user_agent').nullable()
  column.id('request_id', 255).nullable()
  column.json('what').nullable()
  column.id('who_salt', 32).nullable()
  column.id('what_salt', 32).nullable()
  column.json('canonical')
  column.id('content_hash', 64)
  column.bigint('seq').nullable()
  column.id('prev_hash', 64).nullable()
  column.id('hash', 64).nullable()
  table.primary(['tenant_id', 'time', 'id'], named('pkey')) // list, by time; seal; erase; insertOrFind, since an event's entry has its id from the event
  table.unique(['tenant_id', 'seq'], { indexName: named('seq') }) // sealed, hashes; two links in one place are refused
  table.index(['tenant_id', 'actor_id', 'time', 'id'], named('actor')) // list, by user
  table.index(['tenant_id', 'action', 'time', 'id'], named('action')) // list, by action and by prefix
  table.index(['tenant_id', 'resource_type', 'time', 'id'], named('type')) // list, by type of resource
  table.index(['tenant_id', 'resource_id', 'time', 'id'], named('resource')) // list, by resource
  const some = (condition: string) => ({ predicate: where(condition) })
  table.index(['tenant_id', 'outcome', 'time', 'id'], named('outcome'), some("outcome <> 'success'")) // list, by outcome
  table.index(['tenant_id', 'request_id'], named('request'), some('request_id is not null')) // list, by request
  table.index(['seq', 'tenant_id', 'time', 'id'], named('unsealed'), some('seq is null')) // nextUnsealedTenant, unsealed
})
