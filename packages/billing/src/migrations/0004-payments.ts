import { createTable } from '@org/core/knex'

export const payments = createTable('0004-payments', 'payments', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('invoice_id', 64)
  column.integer('attempt')
  column.id('status', 16)
  column.bigint('amount')
  column.id('currency', 3)
  column.id('payment_method').nullable()
  column.id('idempotency_key')
  column.id('reference', 255).nullable()
  column.text('decline_code').nullable()
  column.bigint('created_at')
  column.bigint('settled_at').nullable()
  table.unique(['invoice_id', 'attempt'], { indexName: named('attempt') }) // of(); an attempt is made once
  table.index(['status', 'id'], named('pending')) // pending()
})
