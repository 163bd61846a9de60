/**
 * Plans, subscriptions, invoices and metered usage for an existing Express or Koa app, in the host's own transaction.
 *
 * ```ts
 * const billing = createBilling({ catalog: defineCatalog({ … }), storage: knexStorage(knex) })
 * await billing.subscriptions.create({ tenantId }, { plan: 'pro' })
 * await billing.usage.record({ tenantId, meter: 'requests' }, { tx })
 * ```
 */
import { createEmit, createRuntime, type EventSink, type HttpModule, type RuntimeOptions } from '@org/core'
import type { Instant } from './arithmetic/instant.js'
import type { Catalog } from './catalog/define.js'
import { catalogRoutes } from './catalog/routes.js'
import { customerRoutes } from './customers/routes.js'
import { type Customers, createCustomers } from './customers/service.js'
import type { Deps } from './deps.js'
import { type DueWork, runDueWork } from './due-work/run.js'
import { type Verification, verify } from './due-work/verify.js'
import { entitlementRoutes } from './entitlements/routes.js'
import { createEntitlements, type Entitlements } from './entitlements/service.js'
import type { billingEvents } from './events.js'
import { invoiceRoutes } from './invoices/routes.js'
import { createInvoices, type Invoices } from './invoices/service.js'
import { localProvider } from './provider/local.js'
import type { PaymentProvider } from './provider/port.js'
import { memoryStorage } from './storage/memory.js'
import type { BillingStorage } from './storage/port.js'
import { subscriptionRoutes } from './subscriptions/routes.js'
import { createSubscriptions, type Subscriptions } from './subscriptions/service.js'
import { usageRoutes } from './usage/routes.js'
import { createUsage, type Usage } from './usage/service.js'

export type { BillingPeriod, BillingPeriodInput, PeriodUnit } from './arithmetic/period.js'
export { billingPeriod } from './arithmetic/period.js'
export { type PricedLine, priceUsage, type UsagePrice } from './arithmetic/price-usage.js'
export { type ProrateInput, prorate } from './arithmetic/prorate.js'
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
export type { Customer, CustomerInput } from './customers/schema.js'
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
  InvoiceReason,
  InvoiceStatus,
  ListInvoices,
} from './invoices/schema.js'
export type { Invoices } from './invoices/service.js'
export type { InvoiceFilter, InvoiceStore } from './invoices/store.js'
export type { Payment } from './payments/schema.js'
export type { PaymentStore } from './payments/store.js'
export { type LocalProviderOptions, localProvider } from './provider/local.js'
export type { ChargeRequest, ChargeResult, PaymentProvider } from './provider/port.js'
export { memoryStorage } from './storage/memory.js'
export type { BillingStorage, BillingStores } from './storage/port.js'
export type {
  CancelSubscription,
  ChangeSubscription,
  CreateSubscription,
  ListSubscriptions,
  Subscription,
  SubscriptionStatus,
} from './subscriptions/schema.js'
export type { ChangePreview, Subscriptions } from './subscriptions/service.js'
export type { SubscriptionStore } from './subscriptions/store.js'
export type { Counter, CounterKey, RecordUsage, UsageEvent, UsageRecord, UsageSummary } from './usage/schema.js'
export type { RecordOptions, Usage } from './usage/service.js'
export type { CounterMismatch, UsageStore } from './usage/store.js'

export interface BillingOptions<PlanId extends string, Feature extends string, Meter extends string>
  extends RuntimeOptions {
  /** What is sold: {@link defineCatalog}. */
  catalog: Catalog<PlanId, Feature, Meter>
  /** Who takes the money; {@link localProvider} unless told. */
  provider?: PaymentProvider
  /** `knexStorage(knex)` from `@org/billing/knex`; memory, which forgets, unless told. */
  storage?: BillingStorage
  /** Hear of every change within its transaction. Uses are too many to be told one by one. */
  events?: EventSink | readonly EventSink[]
  /** How long an overdue subscription keeps what its plan gives, in milliseconds; 21 days unless told. */
  gracePeriod?: number
  /** How the n-th invoice number reads; `INV-000001` unless told. It must differ for each `sequence`. */
  invoiceNumber?: (sequence: number) => string
}

/** Keys are the catalogue's: a wrong one does not compile. */
export interface Billing<
  PlanId extends string = string,
  Feature extends string = string,
  Meter extends string = string,
> {
  catalog: Catalog<PlanId, Feature, Meter>
  customers: Customers
  subscriptions: Subscriptions<PlanId>
  invoices: Invoices
  usage: Usage<Meter>
  entitlements: Entitlements<Feature | Meter>
  /** Whether payments go through Stripe. */
  isStripeAvailable(): boolean
  /**
   * Renews what is due at `now` (a Date or epoch milliseconds; the clock's time unless told), applies scheduled changes
   * and cancellations, and settles payments that were cut off. Call it every minute or so, from any number of processes.
   */
  runDueWork(now?: Instant): Promise<DueWork>
  /** Checks counters against events, invoices against their lines, and the numbers for gaps. Changes nothing. */
  verify(): Promise<Verification>
  /** For `billingRouter` and `openapi`. */
  http: HttpModule
}

const day = 24 * 60 * 60 * 1000

/** Makes the module. Nothing starts by itself. */
export function createBilling<PlanId extends string, Feature extends string, Meter extends string>(
  options: BillingOptions<PlanId, Feature, Meter>,
): Billing<PlanId, Feature, Meter> {
  const runtime = createRuntime(options)
  if (!options.storage) {
    runtime.logger.warn('billing keeps everything in memory and forgets it on exit; pass `storage: knexStorage(knex)`')
  }
  const deps: Deps = {
    catalog: options.catalog,
    provider: options.provider ?? localProvider(),
    storage: options.storage ?? memoryStorage(),
    runtime,
    emit: createEmit<typeof billingEvents>(runtime, options.events),
    gracePeriod: options.gracePeriod ?? 21 * day,
    invoiceNumber: options.invoiceNumber ?? ((sequence) => `INV-${String(sequence).padStart(6, '0')}`),
  }
  const customers = createCustomers(deps)
  const subscriptions = createSubscriptions(deps)
  const invoices = createInvoices(deps)
  const usage = createUsage(deps)
  const entitlements = createEntitlements(deps)
  const { storage } = deps
  return {
    catalog: options.catalog,
    customers,
    subscriptions,
    invoices,
    usage,
    entitlements,
    isStripeAvailable: () => deps.provider.name === 'stripe',
    runDueWork: (now) => runDueWork(deps, now),
    verify: () => verify(deps),
    http: {
      name: 'billing',
      runtime,
      routes: [
        ...catalogRoutes(deps.catalog),
        ...customerRoutes(customers),
        ...subscriptionRoutes(subscriptions, deps.provider.inProcess),
        ...invoiceRoutes(invoices),
        ...usageRoutes(usage),
        ...entitlementRoutes(entitlements),
      ],
      storage,
    },
  }
}
