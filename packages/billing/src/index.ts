/**
 * Plans, subscriptions, invoices and metered usage for an existing Express or Koa app, in the host's own transaction.
 *
 * ```ts
 * const billing = createBilling({ catalog: defineCatalog({ … }), storage: knexStorage(knex) })
 * await billing.subscriptions.create({ tenantId }, { plan: 'pro' })
 * await billing.usage.record({ tenantId, meter: 'requests' }, { tx })
 * ```
 */
export {
  type Ability,
  type Actor,
  type Clock,
  contextOf,
  type DomainEvent,
  type EventSink,
  isProblem,
  type Logger,
  memoryDatabase,
  ProblemError,
  type RequestContext,
  type Scope,
  type Tx,
} from '@org/core'
export type { BillingPeriod, BillingPeriodInput, PeriodUnit } from './arithmetic/period.js'
export { billingPeriod } from './arithmetic/period.js'
export { type PricedLine, priceUsage, type UsagePrice } from './arithmetic/price-usage.js'
export { type ProrateInput, prorate } from './arithmetic/prorate.js'
export { type Billing, type BillingOptions, createBilling } from './billing.js'
export { type Catalog, defineCatalog } from './catalog/define.js'
export type {
  FeatureDefinition,
  FeatureValue,
  Interval,
  MeterDefinition,
  MeterTerms,
  Plan,
  PlanMeter,
} from './catalog/schema.js'
export type { CreateCustomer, Customer, UpdateCustomer } from './customers/schema.js'
export type { Customers } from './customers/service.js'
export type { CustomerStore } from './customers/store.js'
export type { DueWork } from './due-work/run.js'
export type { Verification } from './due-work/verify.js'
export type { Entitlement, EntitlementReason } from './entitlements/schema.js'
export type { CheckOptions, Entitlements } from './entitlements/service.js'
export { billingErrors } from './errors.js'
export { billingEvents } from './events.js'
export type {
  CreateInvoice,
  Invoice,
  InvoiceLine,
  InvoicePreview,
  InvoiceQuery,
  InvoiceReason,
  InvoiceStatus,
} from './invoices/schema.js'
export type { Invoices } from './invoices/service.js'
export type { InvoiceFilter, InvoiceStore } from './invoices/store.js'
export type { Payment } from './payments/schema.js'
export type { PaymentStore } from './payments/store.js'
export { type LocalProviderOptions, localProvider } from './provider/local.js'
export type { ChargeRequest, ChargeResult, PaymentProvider } from './provider/port.js'
export { memoryStorage } from './storage/memory/index.js'
export type { BillingStorage, BillingStores } from './storage/port.js'
export type {
  CancelSubscription,
  ChangePreview,
  ChangeSubscription,
  CreateSubscription,
  Subscription,
  SubscriptionQuery,
  SubscriptionStatus,
} from './subscriptions/schema.js'
export type { Subscriptions } from './subscriptions/service.js'
export type { SubscriptionStore } from './subscriptions/store.js'
export type { Counter, CounterKey, RecordUsage, UsageEvent, UsageRecord, UsageSummary } from './usage/schema.js'
export type { RecordOptions, Usage } from './usage/service.js'
export type { CounterMismatch, UsageStore } from './usage/store.js'
