import { idempotencyMigration, type Migration } from '@org/core/knex'
import { customers } from './0001-customers.js'
import { subscriptions } from './0002-subscriptions.js'
import { invoices } from './0003-invoices.js'
import { payments } from './0004-payments.js'
import { sequences } from './0005-sequences.js'
import { usageEvents } from './0006-usage-events.js'
import { usageCounters } from './0007-usage-counters.js'

/** Goes before every table name unless the host says otherwise. */
export const defaultPrefix = 'billing_'

/** The steps in order, to look at; `migrate` applies them. Released ones never change; new ones go to the end. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  customers,
  subscriptions,
  invoices,
  payments,
  sequences,
  usageEvents,
  usageCounters,
]
