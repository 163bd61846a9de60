import { createTable } from '@org/core/knex'

export const policies = createTable('0020-policies', 'policies', (column, table) => {
  column.id('tenant_id')
  column.bigint('version')
  column.json('roles')
  column.id('author_type', 16)
  column.id('author_id')
  column.bigint('created_at')
  table.primary(['tenant_id', 'version']) // current
})
