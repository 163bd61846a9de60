/** The tables of the first version. Money is 64-bit minor units, times are epoch milliseconds. */
import { createTable, type Migration } from '@org/core/knex'

export const init: readonly Migration[] = [
  createTable('0001-customers', 'customers', (column) => {
    column.id('tenant_id').primary()
    column.id('id', 64)
    column.text('email').nullable()
    column.text('name').nullable()
    column.id('payment_method').nullable()
    column.bigint('balance')
    column.bigint('created_at')
    column.bigint('updated_at')
  }),

  createTable('0002-subscriptions', 'subscriptions', (column, table, named) => {
    column.id('id', 64).primary()
    column.id('tenant_id')
    column.id('plan', 64)
    column.id('interval', 16)
    column.id('currency', 3)
    column.bigint('amount')
    column.id('status', 16)
    column.bigint('anchor')
    column.bigint('current_period_start')
    column.bigint('current_period_end')
    column.flag('cancel_at_period_end')
    column.json('scheduled_change').nullable()
    column.bigint('canceled_at').nullable()
    column.bigint('ended_at').nullable()
    column.bigint('past_due_since').nullable()
    column.bigint('created_at')
    column.bigint('updated_at')
    column.id('live_slot', 64).nullable()
    column.bigint('billed')
    column.id('billed_invoice_id', 64).nullable()
    column.id('pending_invoice_id', 64).nullable()
    table.unique(['tenant_id', 'live_slot'], { indexName: named('live') }) // one live one for each slot; live()
    table.index(['tenant_id', 'id'], named('tenant')) // list()
    table.index(['live_slot', 'current_period_end', 'id'], named('due')) // due()
  }),

  createTable('0003-invoices', 'invoices', (column, table, named) => {
    column.id('id', 64).primary()
    column.id('tenant_id')
    column.id('subscription_id', 64).nullable()
    column.id('number', 64).nullable()
    column.id('status', 16)
    column.id('reason', 32)
    column.id('currency', 3)
    column.json('lines')
    column.bigint('total')
    column.bigint('balance_applied')
    column.bigint('amount_due')
    column.bigint('amount_paid')
    column.bigint('period_start')
    column.bigint('period_end')
    column.bigint('finalized_at').nullable()
    column.bigint('paid_at').nullable()
    column.bigint('voided_at').nullable()
    column.bigint('created_at')
    column.bigint('updated_at')
    column.json('change').nullable()
    column.id('period_key').nullable()
    table.unique(['period_key'], { indexName: named('period') }) // a period is billed once
    table.unique(['number'], { indexName: named('number') }) // a number is given once; numbering()
    table.index(['tenant_id', 'id'], named('tenant')) // list()
    table.index(['subscription_id', 'status'], named('subscription')) // openOf()
  }),

  createTable('0004-payments', 'payments', (column, table, named) => {
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
  }),

  createTable('0005-sequences', 'sequences', (column) => {
    column.id('name', 64).primary()
    column.bigint('value')
  }),

  createTable('0006-usage-events', 'usage_events', (column, table, named) => {
    column.id('id', 64).primary()
    column.id('tenant_id')
    column.id('meter', 64)
    column.bigint('quantity')
    column.id('idempotency_key')
    column.bigint('time')
    column.id('holder', 64)
    column.bigint('window_start')
    column.bigint('created_at')
    table.unique(['tenant_id', 'meter', 'idempotency_key'], { indexName: named('key') }) // a key counts once
    table.index(['tenant_id', 'holder', 'meter', 'window_start'], named('window')) // recount()
  }),

  createTable('0007-usage-counters', 'usage_counters', (column, table) => {
    column.id('tenant_id')
    column.id('holder', 64)
    column.id('meter', 64)
    column.bigint('window_start')
    column.bigint('used')
    column.flag('closed')
    column.bigint('marked_limit')
    // A share such as 0.8, as text: databases differ in what a floating-point number comes back as.
    column.json('alerted')
    column.flag('exceeded')
    table.primary(['tenant_id', 'holder', 'window_start', 'meter']) // consume(), counters(), recount()
  }),
]
