import { createTable } from '@org/core/knex'

export const members = createTable('0002-members', 'members', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('user_id')
  column.id('status', 16)
  column.bigint('created_at')
  table.unique(['tenant_id', 'user_id'], { indexName: named('user') }) // insertOrFind, find, suspended
  table.index(['tenant_id', 'status', 'id'], named('status')) // list, by status
  table.index(['tenant_id', 'id'], named('list')) // list
  table.index(['user_id', 'id'], named('tenants')) // ofUser
})
