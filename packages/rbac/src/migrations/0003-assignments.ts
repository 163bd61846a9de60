import { createTable } from '@org/core/knex'

export const assignments = createTable('0003-assignments', 'assignments', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('user_id')
  column.id('role', 64)
  column.id('role_id', 64)
  // Empty for the tenant as a whole: SQL would take each NULL of a unique key for another one.
  column.id('on_resource', 64)
  column.id('on_id')
  column.bigint('expires_at').nullable()
  column.bigint('created_at')
  table.unique(['tenant_id', 'user_id', 'role_id', 'on_resource', 'on_id'], { indexName: named('member') }) // insertOrFind, ofUser
  table.index(['tenant_id', 'role_id'], named('role_id')) // ofRoles
  table.index(['tenant_id', 'role', 'id'], named('role')) // list, by role
  table.index(['tenant_id', 'user_id', 'id'], named('user')) // list, by member
  table.index(['tenant_id', 'id'], named('list')) // list
})
