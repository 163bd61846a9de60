import { createTable } from '@org/core/knex'

/** The targets of an entry after its first, which stands in the entry itself. */
export const auditTargets = createTable('0011-audit-targets', 'audit_targets', (column, table, named) => {
  column.id('tenant_id')
  column.bigint('time')
  column.id('entry_id', 64)
  column.integer('position')
  column.id('type', 64)
  column.id('id', 255)
  table.primary(['tenant_id', 'time', 'entry_id', 'position'], named('pkey')) // targets, erase
  table.index(['tenant_id', 'type', 'time', 'entry_id'], named('type')) // list, by type of resource
  table.index(['tenant_id', 'id', 'time', 'entry_id'], named('resource')) // list, by resource
})
