/** Everything in memory: for tests, demos and a first afternoon. Gone when the process ends. */
import {
  type IdempotencyRecord,
  type MemoryDatabase,
  type MemoryRows,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
} from '@org/core'
import type { Customer } from '../../customers/schema.js'
import type { Payment } from '../../payments/schema.js'
import type { Subscription } from '../../subscriptions/schema.js'
import type { BillingStorage } from '../port.js'
import { memoryCustomers } from './customers.js'
import { type MemoryInvoiceRows, memoryInvoices } from './invoices.js'
import { memoryPayments } from './payments.js'
import { memorySubscriptions } from './subscriptions.js'
import { type MemoryUsageRows, memoryUsage } from './usage.js'

interface Rows extends MemoryInvoiceRows {
  customers: MemoryRows<Customer>
  subscriptions: MemoryRows<Subscription>
  payments: MemoryRows<Payment>
  usage: MemoryUsageRows
  idempotency: MemoryRows<IdempotencyRecord>
}

/** One store in memory. Pass the same `database` to several modules to write to all of them in one transaction. */
export function memoryStorage({ database = memoryDatabase() }: { database?: MemoryDatabase } = {}): BillingStorage {
  const rows: Rows = {
    customers: new Map(),
    subscriptions: new Map(),
    invoices: new Map(),
    payments: new Map(),
    sequences: new Map(),
    usage: { events: new Map(), counters: new Map(), byKey: new Map() },
    idempotency: new Map(),
  }
  return memoryUnitOfWork(database, (tx) => ({
    customers: memoryCustomers(rows.customers, tx),
    subscriptions: memorySubscriptions(rows.subscriptions, tx),
    invoices: memoryInvoices(rows, tx),
    payments: memoryPayments(rows.payments, tx),
    usage: memoryUsage(rows.usage, tx),
    idempotency: memoryIdempotency(rows.idempotency, tx),
  }))
}
