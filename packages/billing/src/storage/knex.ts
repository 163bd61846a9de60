/** Everything in the host's own database. SQL is nowhere else. */
import {
  checkPrefix,
  flag,
  integer,
  json,
  KnexTable,
  knexIdempotency,
  knexUnitOfWork,
  nullable,
  oneOf,
  text,
} from '@org/core/knex'
import type { Knex } from 'knex'
import type { Customer } from '../customers/schema.js'
import type { CustomerStore } from '../customers/store.js'
import type { Invoice } from '../invoices/schema.js'
import type { InvoiceStore } from '../invoices/store.js'
import type { Payment } from '../payments/schema.js'
import type { PaymentStore } from '../payments/store.js'
import type { Subscription } from '../subscriptions/schema.js'
import type { SubscriptionStore } from '../subscriptions/store.js'
import { knexUsage } from './knex-usage.js'
import type { BillingStorage } from './port.js'

export interface KnexStorageOptions {
  /** Goes before every table name; the same as for `migrate`. `billing_` unless told. */
  prefix?: string
}

/** SQLite, PostgreSQL, MySQL 8 or MariaDB 10.6+, through the host's own Knex. Call `migrate(knex)` first. */
export function knexStorage(knex: Knex, { prefix = 'billing_' }: KnexStorageOptions = {}): BillingStorage {
  checkPrefix(prefix)
  return knexUnitOfWork(knex, {
    prefix,
    migrateFrom: '@org/billing/knex',
    bind: (db) => ({
      customers: customerStore(db, prefix),
      subscriptions: subscriptionStore(db, prefix),
      invoices: invoiceStore(db, prefix),
      payments: paymentStore(db, prefix),
      usage: knexUsage(db, prefix),
      idempotency: knexIdempotency(db, prefix),
    }),
  })
}

function customerStore(db: Knex, prefix: string): CustomerStore {
  const table = new KnexTable<Customer>(db, `${prefix}customers`, {
    id: text,
    tenantId: text,
    email: nullable(text),
    name: nullable(text),
    paymentMethod: nullable(text),
    balance: integer,
    createdAt: integer,
    updatedAt: integer,
  })
  return {
    insertOrFind: (customer) => table.insertOrFind(customer, ['tenantId']),
    get: (tenantId) => table.find({ tenantId }),
    lock: (tenantId) => table.lock({ tenantId }),
    update: async (customer) => void (await table.update({ tenantId: customer.tenantId }, customer)),
  }
}

function subscriptionStore(db: Knex, prefix: string): SubscriptionStore {
  const table = new KnexTable<Subscription>(db, `${prefix}subscriptions`, {
    id: text,
    tenantId: text,
    plan: text,
    interval: oneOf(),
    currency: text,
    amount: integer,
    status: oneOf(),
    anchor: integer,
    currentPeriodStart: integer,
    currentPeriodEnd: integer,
    cancelAtPeriodEnd: flag,
    scheduledChange: nullable(json()),
    canceledAt: nullable(integer),
    endedAt: nullable(integer),
    pastDueSince: nullable(integer),
    createdAt: integer,
    updatedAt: integer,
    liveSlot: nullable(text),
    billed: integer,
    billedInvoiceId: nullable(text),
    pendingInvoiceId: nullable(text),
  })
  return {
    insert: (subscription) => table.insertUnlessExists(subscription, ['tenantId', 'liveSlot']),
    get: (tenantId, id) => table.find({ tenantId, id }),
    live: (tenantId, liveSlot) => table.find({ tenantId, liveSlot }),
    lock: (id) => table.lock({ id }),
    update: async (subscription) => void (await table.update({ id: subscription.id }, subscription)),
    remove: async (id) => void (await table.remove({ id })),
    list: (tenantId, { status }, slice) =>
      table.newestFirst((query) => query.where(table.encode({ tenantId, ...(status && { status }) })), slice),
    due: (now, { limit, after }) =>
      table.all((query) => {
        query.whereNotNull('live_slot').where('current_period_end', '<=', now).whereNot('status', 'incomplete')
        if (after) query.whereRaw('(current_period_end, id) > (?, ?)', after)
        return query.orderBy(['current_period_end', 'id']).limit(limit)
      }),
  }
}

function invoiceStore(db: Knex, prefix: string): InvoiceStore {
  const table = new KnexTable<Invoice>(db, `${prefix}invoices`, {
    id: text,
    tenantId: text,
    subscriptionId: nullable(text),
    number: nullable(text),
    status: oneOf(),
    reason: oneOf(),
    currency: text,
    lines: json(),
    total: integer,
    balanceApplied: integer,
    amountDue: integer,
    amountPaid: integer,
    periodStart: integer,
    periodEnd: integer,
    finalizedAt: nullable(integer),
    paidAt: nullable(integer),
    voidedAt: nullable(integer),
    createdAt: integer,
    updatedAt: integer,
    change: nullable(json()),
    periodKey: nullable(text),
  })
  const sequences = new KnexTable<{ name: string; value: number }>(db, `${prefix}sequences`, {
    name: text,
    value: integer,
  })
  return {
    insert: (invoice) => table.insertUnlessExists(invoice, ['periodKey']),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (id) => table.lock({ id }),
    update: async (invoice) => void (await table.update({ id: invoice.id }, invoice)),
    remove: async (id) => void (await table.remove({ id })),
    list: (tenantId, { status, subscriptionId }, slice) =>
      table.newestFirst(
        (query) =>
          query.where(table.encode({ tenantId, ...(status && { status }), ...(subscriptionId && { subscriptionId }) })),
        slice,
      ),
    openOf: async (subscriptionId) => {
      // A locking read sees what others committed after this transaction began, on MySQL too.
      const query = table.query({ subscriptionId, status: 'open' }).select('id').forShare()
      const rows: { id: string }[] = await query
      return rows.map((row) => row.id)
    },
    scan: (slice) => table.all((query) => oldestFirst(query, slice)),
    nextNumber: async (name) => {
      const row = sequences.encode({ name, value: 1 })
      await db(sequences.name)
        .insert(row)
        .onConflict('name')
        .merge({ value: db.raw('?? + 1', [`${sequences.name}.value`]) })
      return (await sequences.find({ name }))?.value ?? 0
    },
    numbering: async (name) => {
      const [row]: { numbered: unknown }[] = await table.query().whereNotNull('number').count({ numbered: '*' })
      return { last: (await sequences.find({ name }))?.value ?? 0, numbered: Number(row?.numbered ?? 0) }
    },
  }
}

function paymentStore(db: Knex, prefix: string): PaymentStore {
  const table = new KnexTable<Payment>(db, `${prefix}payments`, {
    id: text,
    tenantId: text,
    invoiceId: text,
    attempt: integer,
    status: oneOf(),
    amount: integer,
    currency: text,
    paymentMethod: nullable(text),
    idempotencyKey: text,
    reference: nullable(text),
    declineCode: nullable(text),
    createdAt: integer,
    settledAt: nullable(integer),
  })
  return {
    insert: (payment) => table.insert(payment),
    of: (invoiceId) => table.all((query) => query.where('invoice_id', invoiceId).orderBy('attempt').forUpdate()),
    settle: async (id, outcome) => (await table.update((query) => query.where({ id, status: 'pending' }), outcome)) > 0,
    removeOf: async (invoiceId) => void (await table.remove({ invoiceId })),
    pending: (before, slice) =>
      table.all((query) => oldestFirst(query.where('status', 'pending').where('created_at', '<=', before), slice)),
  }
}

function oldestFirst(query: Knex.QueryBuilder, { limit, after }: { limit: number; after: [string] | null }) {
  if (after) query.where('id', '>', after[0])
  return query.orderBy('id').limit(limit)
}
