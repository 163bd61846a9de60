/** The life of a subscription. */
import { checkId, checkScope, coreErrors, type Page, paginate, parse, type Scope } from '@org/core'
import { planNamed } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import { catchUp } from '../due-work/renew.js'
import { chargingStep, collect, declinedError } from '../payments/collect.js'
import type { Payment } from '../payments/schema.js'
import { cancelLater, cancelNow, takeBackScheduled } from './cancel.js'
import { beginChange } from './change.js'
import { preview } from './preview.js'
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

/** `subscriptions` of a module; `PlanId` are the catalog's plans. */
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
   * @throws ProblemError `no_change`, `subscription_ended`, `payment_in_progress` (409); `payment_unavailable` (503) if a
   *   period is over and the provider does not answer about it.
   */
  cancel(scope: Scope, id: string, input?: CancelSubscription): Promise<Subscription>
  /**
   * Takes a scheduled cancellation or change back.
   *
   * @throws ProblemError `not_canceling`, `subscription_ended` (409); `payment_unavailable` (503), as `cancel`.
   */
  resume(scope: Scope, id: string): Promise<Subscription>
}

export function createSubscriptions(deps: Deps): Subscriptions {
  const { catalog, storage, runtime } = deps

  /** Takes a step and collects what it charges. A decline has undone the step by the time it is thrown. */
  async function charged(scope: Scope, step: (scope: Scope) => Promise<{ id: string; payment: Payment | null }>) {
    const { id, declined } = await chargingStep(deps, scope, async (inner) => {
      const { id, payment } = await step(inner)
      return { id, declined: payment && (await collect(deps, inner, payment)) }
    })
    if (declined !== null) throw declinedError(declined, true)
    return service.get(scope, id)
  }

  /** Bills the periods that have ended. Answers until when: the step that follows takes place at that very moment. */
  async function bringUpToDate(scope: Scope, id: string): Promise<number> {
    await service.get(scope, id)
    const now = runtime.clock.now()
    await catchUp(deps, scope, id, now)
    return now
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
      return preview(deps, scope, await service.get(scope, id), wanted)
    },

    async change(scope, id, input) {
      checkScope(scope)
      checkId(id)
      const wanted = parse(ChangeSubscription, input)
      const now = await bringUpToDate(scope, id)
      return charged(scope, async (inner) => ({ id, payment: await beginChange(deps, inner, id, wanted, now) }))
    },

    async cancel(scope, id, input = {}) {
      checkScope(scope)
      checkId(id)
      const { when } = parse(CancelSubscription, input)
      const now = await bringUpToDate(scope, id)
      if (when === 'period_end') return cancelLater(deps, scope, id, now)
      await cancelNow(deps, scope, id, now)
      return service.get(scope, id)
    },

    async resume(scope, id) {
      checkScope(scope)
      checkId(id)
      await bringUpToDate(scope, id)
      return takeBackScheduled(deps, scope, id)
    },
  }
  return service
}
