import { createTable } from '@org/core/knex'

export const policies = createTable('0020-policies', 'policies', (column, table) => {
  column.id('tenant_id')
  column.bigint('version')
  column.id('kind', 16)
  column.bigint('based_on')
  column.json('roles')
  column.json('tests')
  column.text('note').nullable()
  column.id('author_type', 16)
  column.id('author_id')
  column.bigint('created_at')
  table.primary(['tenant_id', 'version']) // current, latest, find, list
})
