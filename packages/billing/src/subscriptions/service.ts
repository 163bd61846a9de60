/** The life of a subscription. */
import { checkId, checkScope, coreErrors, type Page, paginate, parse, type Scope } from '@org/core'
import { planNamed } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import { catchUp } from '../due-work/renew.js'
import { billingErrors } from '../errors.js'
import { issueInvoice } from '../invoices/issue.js'
import { totals } from '../invoices/lines.js'
import { chargingStep, collect, collectLater, declinedError } from '../payments/collect.js'
import type { Payment } from '../payments/schema.js'
import type { BillingStores } from '../storage/port.js'
import { applyChange, endSubscription, endWindow, overage, readWindow } from './apply.js'
import { decideChange } from './decide.js'
import { emitSubscription } from './events.js'
import {
  CancelSubscription,
  type ChangePreview,
  ChangeSubscription,
  CreateSubscription,
  mainSlot,
  type Subscription,
  SubscriptionQuery,
} from './schema.js'
import { startSubscription } from './start.js'

/** `subscriptions` of a module; `PlanId` are the catalogue's plans. */
export interface Subscriptions<PlanId extends string = string> {
  /**
   * Subscribes the tenant and charges the first period. The customer is made if there is none. Nothing is left if the
   * payment is declined.
   *
   * @throws ProblemError `subscription_exists` (409) if the tenant has a live one, also one that is made at this very
   *   moment; `payment_declined` (402); `invalid_input` for an unknown plan or an interval that it is not sold at.
   */
  create(scope: Scope, input: Omit<CreateSubscription, 'plan'> & { plan: PlanId }): Promise<Subscription>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Subscription>
  /** The tenant's live subscription; null on the default plan. */
  current(scope: Scope): Promise<Subscription | null>
  /** All of the tenant's, the newest first. */
  list(scope: Scope, query?: SubscriptionQuery): Promise<Page<Subscription>>
  /** What {@link Subscriptions.change} would do at this moment, by the same rules. Errors are the same too. */
  previewChange(
    scope: Scope,
    id: string,
    input: Omit<ChangeSubscription, 'plan'> & { plan?: PlanId | undefined },
  ): Promise<ChangePreview>
  /**
   * To a plan of higher or equal rank, or another interval: at once, charged by a prorated invoice; to a lower rank:
   * when the period ends; to the plan that it is on: a scheduled change is forgotten. Nothing changes if the payment is
   * declined. A scheduled cancellation stays. What was used of a period that ends early, ahead of its time, is counted
   * again in the next one.
   *
   * @throws ProblemError `no_change`, `subscription_ended`, `payment_in_progress`, `cancellation_scheduled` (409);
   *   `payment_declined`, `payment_due` (402).
   */
  change(
    scope: Scope,
    id: string,
    input: Omit<ChangeSubscription, 'plan'> & { plan?: PlanId | undefined },
  ): Promise<Subscription>
  /**
   * Ends it when the paid period ends, or now: without a refund, and what was used beyond the plan is billed. A change
   * that was scheduled is forgotten.
   *
   * @throws ProblemError `no_change`, `subscription_ended`, `payment_in_progress` (409).
   */
  cancel(scope: Scope, id: string, input?: CancelSubscription): Promise<Subscription>
  /**
   * Takes a scheduled cancellation or change back.
   *
   * @throws ProblemError `not_canceling`, `subscription_ended` (409).
   */
  resume(scope: Scope, id: string): Promise<Subscription>
}

export function createSubscriptions(deps: Deps): Subscriptions {
  const { catalog, storage, runtime } = deps

  /** The caller's, locked and able to take a step. */
  async function lockSteady(stores: BillingStores, scope: Scope, id: string): Promise<Subscription> {
    const subscription = await stores.subscriptions.lock(scope.tenantId, id)
    if (!subscription) throw coreErrors.not_found()
    assertSteady(subscription)
    return subscription
  }

  /** Takes a step and collects what it charges. A decline has undone the step by the time it is thrown. */
  async function charged(scope: Scope, step: (scope: Scope) => Promise<{ id: string; payment: Payment | null }>) {
    const { id, declined } = await chargingStep(deps, scope, async (inner) => {
      const { id, payment } = await step(inner)
      return { id, declined: payment && (await collect(deps, inner, payment)) }
    })
    if (declined !== null) throw declinedError(declined, true)
    return service.get(scope, id)
  }

  async function update(scope: Scope, id: string, patch: (subscription: Subscription) => Partial<Subscription>) {
    return storage.run(async (stores, tx) => {
      const before = await lockSteady(stores, scope, id)
      const after = { ...before, ...patch(before), updatedAt: runtime.clock.now() }
      await stores.subscriptions.update(after)
      await emitSubscription(deps, scope, 'updated', after, tx, before)
      return after
    }, scope.tx)
  }

  /** Bills the periods that have ended. Answers until when: the step that follows takes place at that very moment. */
  async function bringUpToDate(scope: Scope, id: string): Promise<number> {
    await service.get(scope, id)
    const now = runtime.clock.now()
    await catchUp(deps, scope, id, now)
    return now
  }

  /** Makes a change that is free or scheduled, or drafts the invoice that it waits for. */
  function beginChange(scope: Scope, id: string, wanted: ChangeSubscription, now: number): Promise<Payment | null> {
    return storage.run(async (stores, tx) => {
      const before = await lockSteady(stores, scope, id)
      const decision = decideChange(catalog, before, wanted, now, await owes(stores, id))
      if (decision.when !== 'now') {
        const scheduledChange = decision.when === 'undo' ? null : decision.scheduled
        const after = { ...before, scheduledChange, updatedAt: now }
        await stores.subscriptions.update(after)
        await emitSubscription(deps, scope, 'updated', after, tx, before)
        return null
      }
      const { next, lines, billed, endsWindow } = decision
      const { period, ...terms } = next
      const change = { ...terms, periodStart: period.start, periodEnd: period.end, billed, endsWindow }
      const reason = 'subscription_change'
      const draft = { subscriptionId: id, reason, lines, period, change, untilPaid: true } as const
      const { invoice, payment } = await issueInvoice(deps, stores, scope, draft, tx)
      if (!payment) return (await applyChange(deps, stores, scope, before, change, invoice.id, tx)).payment
      await stores.subscriptions.update({ ...before, pendingInvoiceId: invoice.id })
      return payment
    }, scope.tx)
  }

  function endNow(scope: Scope, id: string, now: number): Promise<Payment | null> {
    return storage.run(async (stores, tx) => {
      const subscription = await lockSteady(stores, scope, id)
      const at = Math.max(now, subscription.currentPeriodStart)
      const { payment } = await endWindow(deps, stores, scope, subscription, at, 'subscription_end', tx)
      await endSubscription(deps, stores, scope, subscription, at, tx)
      return payment
    }, scope.tx)
  }

  const service: Subscriptions = {
    async create(scope, input) {
      checkScope(scope)
      const { plan: id, interval } = parse(CreateSubscription, input)
      const plan = planNamed(catalog, id)
      return charged(scope, (inner) =>
        storage.run((stores, tx) => startSubscription(deps, stores, inner, plan, interval, tx), inner.tx),
      )
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read((stores) => stores.subscriptions.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      return found
    },

    async current(scope) {
      const { tenantId, tx } = checkScope(scope)
      return storage.read((stores) => stores.subscriptions.live(tenantId, mainSlot), tx)
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { status, ...page } = parse(SubscriptionQuery, query)
      const list = (slice: { limit: number; after: [string] | null }) =>
        storage.read((stores) => stores.subscriptions.list(tenantId, { status }, slice), tx)
      return paginate(page, ['string'], list, (row) => [row.id])
    },

    async previewChange(scope, id, input) {
      checkScope(scope)
      checkId(id)
      const wanted = parse(ChangeSubscription, input)
      const subscription = await service.get(scope, id)
      assertSteady(subscription)
      const now = runtime.clock.now()
      if (subscription.currentPeriodEnd <= now) throw billingErrors.renewal_due({ detail: 'Call `runDueWork` first.' })
      const unpaid = await storage.read((stores) => owes(stores, id), scope.tx)
      const decision = decideChange(catalog, subscription, wanted, now, unpaid)
      const { plan, interval, currentPeriodEnd } = subscription
      if (decision.when === 'undo') return { when: 'undo', effectiveAt: now, plan, interval, invoice: null, usage: [] }
      if (decision.when === 'period_end') {
        return { when: 'period_end', effectiveAt: currentPeriodEnd, ...decision.scheduled, invoice: null, usage: [] }
      }
      return storage.read(async (stores) => {
        const balance = (await stores.customers.get(scope.tenantId))?.balance ?? 0
        const { lines, next, endsWindow } = decision
        const invoice = { currency: catalog.currency, lines, ...totals(lines, balance) }
        const usage = endsWindow ? overage(deps, subscription, await readWindow(stores, subscription), now) : []
        return { when: 'now', effectiveAt: now, plan: next.plan, interval: next.interval, invoice, usage }
      }, scope.tx)
    },

    async change(scope, id, input) {
      checkScope(scope)
      checkId(id)
      const wanted = parse(ChangeSubscription, input)
      const now = await bringUpToDate(scope, id)
      return charged(scope, async (inner) => ({ id, payment: await beginChange(inner, id, wanted, now) }))
    },

    async cancel(scope, id, input = {}) {
      checkScope(scope)
      checkId(id)
      const { when } = parse(CancelSubscription, input)
      const now = await bringUpToDate(scope, id)
      if (when === 'period_end') {
        return update(scope, id, (before) => {
          if (before.cancelAtPeriodEnd) throw billingErrors.no_change({ detail: 'It ends with the period already.' })
          return { cancelAtPeriodEnd: true, canceledAt: now, scheduledChange: null }
        })
      }
      await chargingStep(deps, scope, async (inner) => {
        const payment = await endNow(inner, id, now)
        // It has ended whether or not the last invoice is paid at once.
        if (payment) await collectLater(deps, inner, payment)
      })
      return service.get(scope, id)
    },

    async resume(scope, id) {
      await bringUpToDate(scope, id)
      return update(scope, id, (before) => {
        if (!before.cancelAtPeriodEnd && !before.scheduledChange) throw billingErrors.not_canceling()
        return { cancelAtPeriodEnd: false, canceledAt: null, scheduledChange: null }
      })
    },
  }
  return service
}

async function owes(stores: BillingStores, id: string): Promise<boolean> {
  return (await stores.invoices.openOf(id)).length > 0
}

/** @throws ProblemError if it has ended or waits for a payment. */
function assertSteady(subscription: Subscription): void {
  if (subscription.liveSlot === null) throw billingErrors.subscription_ended({ detail: 'Create a new one.' })
  if (subscription.status === 'incomplete') throw billingErrors.subscription_incomplete()
  if (subscription.pendingInvoiceId === null) return
  throw billingErrors.payment_in_progress({ detail: 'Wait for it; `runDueWork` sees to one that was cut off.' })
}
