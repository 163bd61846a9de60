import { createTable } from '@org/core/knex'

export const tenants = createTable('0001-tenants', 'tenants', (column) => {
  column.id('id').primary()
})
