import { createTable } from '@org/core/knex'

export const customers = createTable('0001-customers', 'customers', (column) => {
  column.id('tenant_id').primary()
  column.id('id', 64)
  column.text('email').nullable()
  column.text('name').nullable()
  column.id('payment_method').nullable()
  column.bigint('balance')
  column.bigint('created_at')
  column.bigint('updated_at')
})
