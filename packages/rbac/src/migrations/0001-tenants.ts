import { createTable } from '@org/core/knex'

export const tenants = createTable('0001-tenants', 'tenants', (column) => {
  column.id('id').primary()
  column.bigint('version')
  column.text('name').nullable()
  column.bigint('created_at').nullable()
})
