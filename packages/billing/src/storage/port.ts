/** The storage port: one set of stores, bound to one transaction. */
import type { IdempotencyStore, Storage } from '@org/core'
import type { CustomerStore } from '../customers/store.js'
import type { InvoiceStore } from '../invoices/store.js'
import type { PaymentStore } from '../payments/store.js'
import type { SubscriptionStore } from '../subscriptions/store.js'
import type { UsageStore } from '../usage/store.js'

/**
 * Locks are taken in this order by everyone: subscription, counters (by meter), invoice, customer, payment, number.
 */
export interface BillingStores {
  subscriptions: SubscriptionStore
  usage: UsageStore
  customers: CustomerStore
  invoices: InvoiceStore
  payments: PaymentStore
  idempotency: IdempotencyStore
}

/** What {@link memoryStorage} and `knexStorage` make. */
export type BillingStorage = Storage<BillingStores>
