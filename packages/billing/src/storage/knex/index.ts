/** Everything in the host's own database. SQL is nowhere else. */
import { checkPrefix, knexIdempotency, knexUnitOfWork } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix } from '../../migrations/index.js'
import type { BillingStorage } from '../port.js'
import { knexCustomers } from './customers.js'
import { knexInvoices } from './invoices.js'
import { knexPayments } from './payments.js'
import { knexSubscriptions } from './subscriptions.js'
import { knexUsage } from './usage.js'

export interface KnexStorageOptions {
  /** Goes before every table name; the same as for `migrate`. `billing_` unless told. */
  prefix?: string
}

/**
 * SQLite, PostgreSQL, MySQL 8 or MariaDB 10.6+, through the host's own Knex. Call `migrate(knex)` first.
 *
 * @throws ProblemError `setup_error` for a prefix that cannot be part of a table name.
 */
export function knexStorage(knex: Knex, { prefix = defaultPrefix }: KnexStorageOptions = {}): BillingStorage {
  checkPrefix(prefix)
  return knexUnitOfWork(knex, {
    prefix,
    migrateFrom: '@org/billing/knex',
    bind: (db) => ({
      customers: knexCustomers(db, prefix),
      subscriptions: knexSubscriptions(db, prefix),
      invoices: knexInvoices(db, prefix),
      payments: knexPayments(db, prefix),
      usage: knexUsage(db, prefix),
      idempotency: knexIdempotency(db, prefix),
    }),
  })
}
