import { createTable } from '@org/core/knex'

export const assignments = createTable('0002-assignments', 'assignments', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('user_id')
  column.id('role', 64)
  column.bigint('created_at')
  table.unique(['tenant_id', 'user_id', 'role'], { indexName: named('member') }) // insertOrFind, ofUser
  table.index(['tenant_id', 'role'], named('role')) // ofRoles
  table.index(['tenant_id', 'id'], named('list')) // list
})
