/** The module: its options, its services and how they are put together. */
import {
  coreErrors,
  createEmit,
  createRuntime,
  type EventSink,
  type HttpModule,
  type RuntimeOptions,
  routesAbout,
  warnOfMemory,
} from '@org/core'
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
import { memoryStorage } from './storage/memory/index.js'
import type { BillingStorage } from './storage/port.js'
import { subscriptionRoutes } from './subscriptions/routes.js'
import { createSubscriptions, type Subscriptions } from './subscriptions/service.js'
import { usageRoutes } from './usage/routes.js'
import { createUsage, type Usage } from './usage/service.js'

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
  gracePeriodMs?: number
  /** How the n-th invoice number reads; `INV-000001` unless told. It must differ for each `sequence`. */
  invoiceNumber?: (sequence: number) => string
}

/** Keys are the catalog's: a wrong one does not compile. */
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

/**
 * Makes the module. Nothing starts by itself.
 *
 * @throws ProblemError `setup_error` for a `gracePeriodMs` that is not a time.
 */
export function createBilling<PlanId extends string, Feature extends string, Meter extends string>(
  options: BillingOptions<PlanId, Feature, Meter>,
): Billing<PlanId, Feature, Meter> {
  const runtime = createRuntime(options)
  if (!options.storage) warnOfMemory(runtime.logger, '@org/billing')
  const deps: Deps = {
    catalog: options.catalog,
    provider: options.provider ?? localProvider(),
    storage: options.storage ?? memoryStorage(),
    runtime,
    emit: createEmit<typeof billingEvents>(runtime, options.events),
    gracePeriodMs: checkGrace(options.gracePeriodMs ?? 21 * day),
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
        ...routesAbout('customer', customerRoutes(customers)),
        ...routesAbout('subscription', subscriptionRoutes(subscriptions, deps.provider.inProcess)),
        ...routesAbout('invoice', invoiceRoutes(invoices)),
        ...usageRoutes(usage),
        ...routesAbout('feature', entitlementRoutes(entitlements)),
      ],
      storage,
    },
  }
}

function checkGrace(gracePeriodMs: number): number {
  if (Number.isFinite(gracePeriodMs) && gracePeriodMs >= 0) return gracePeriodMs
  throw coreErrors.setup_error({ detail: '`gracePeriodMs` must be milliseconds, 0 or more.' })
}
