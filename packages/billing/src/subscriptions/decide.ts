/** What a change or a renewal comes to. Pure: preview and apply both ask here, so that they cannot disagree. */
import { type BillingPeriod, billingPeriod } from '../arithmetic/period.js'
import { type Catalog, planNamed, planOfRow, priceOf } from '../catalog/define.js'
import type { Terms } from '../catalog/schema.js'
import { billingErrors } from '../errors.js'
import { creditLine, planLine, restLine, usageLines } from '../invoices/lines.js'
import type { InvoiceLine } from '../invoices/schema.js'
import type { ChangeSubscription, Subscription } from './schema.js'
import { termsAfterPeriod } from './standing.js'

/** How a subscription goes on in a period. */
export interface NextTerms extends Terms {
  anchor: number
  period: BillingPeriod
  /** What the whole period costs. */
  amount: number
}

export type ChangeDecision =
  | {
      when: 'now'
      next: NextTerms
      lines: InvoiceLine[]
      /** What is billed for the new plan in this period: the most that a later change can credit. */
      billed: number
      /** The period ends early, and the usage in it is billed by an invoice of its own. */
      endsWindow: boolean
    }
  | { when: 'period_end'; scheduled: Terms }
  /** Back to the plan it is on: a scheduled change is forgotten. */
  | { when: 'undo' }

/**
 * - To a plan of higher or equal rank: now; the unused rest of the old plan is credited and the rest of the period on the
 *   new one charged. A lower rank: when the period ends.
 * - To another interval: now, unless the rank is lower; a new period begins, the unused old one is credited, the new one
 *   charged in full.
 *
 * A cancellation that is scheduled stays scheduled. While an invoice is open (`owes`) nothing changes at once: what was
 * not paid cannot be credited.
 *
 * @throws ProblemError `no_change`, `payment_due`, `cancellation_scheduled`, `invalid_input`.
 */
export function decideChange(
  catalog: Catalog,
  subscription: Subscription,
  change: ChangeSubscription,
  now: number,
  owes: boolean,
): ChangeDecision {
  const current = planOfRow(catalog, subscription)
  const plan = change.plan === undefined ? current : planNamed(catalog, change.plan)
  const interval = change.interval ?? subscription.interval
  const price = priceOf(plan, interval)

  if (plan.id === current.id && interval === subscription.interval) {
    if (subscription.scheduledChange) return { when: 'undo' }
    throw billingErrors.no_change({ detail: `It is on ${plan.id} by the ${interval}, with no change scheduled.` })
  }
  if (plan.rank < current.rank) {
    if (subscription.cancelAtPeriodEnd) {
      throw billingErrors.cancellation_scheduled({
        detail: 'Resume it before a change is scheduled for after its end.',
      })
    }
    return { when: 'period_end', scheduled: { plan: plan.id, interval } }
  }
  if (owes) {
    throw billingErrors.payment_due({ detail: 'Pay the open invoices before you change to another plan.' })
  }

  const old = { start: subscription.currentPeriodStart, end: subscription.currentPeriodEnd }
  // A clock that is behind the one that renewed must not leave a gap between two windows.
  const at = Math.max(now, old.start)
  const credit = creditLine(current, subscription.amount, subscription.billed, old, at)
  const terms = { plan: plan.id, interval, amount: price }
  if (interval === subscription.interval) {
    const charge = restLine(plan, price, old, at)
    const next = { ...terms, anchor: subscription.anchor, period: old }
    return { when: 'now', next, lines: [credit, charge], billed: charge.amount, endsWindow: false }
  }
  const period = billingPeriod({ anchor: at, interval, at })
  const charge = planLine(plan, interval, price, period)
  // A period that begins the moment the old one began goes on with its window.
  const endsWindow = at > old.start
  return { when: 'now', next: { ...terms, anchor: at, period }, lines: [credit, charge], billed: price, endsWindow }
}

export interface RenewalDecision {
  /** Null when the subscription ends. */
  next: NextTerms | null
  lines: InvoiceLine[]
}

/** What the end of the current period comes to: the usage beyond it, and the period after it in advance. */
export function decideRenewal(
  catalog: Catalog,
  subscription: Subscription,
  used: ReadonlyMap<string, number>,
): RenewalDecision {
  const { interval, currentPeriodStart: start, currentPeriodEnd: end } = subscription
  const usage = usageLines(catalog, planOfRow(catalog, subscription), interval, used, { start, end })
  const terms = termsAfterPeriod(subscription)
  if (!terms) return { next: null, lines: usage }
  const plan = planOfRow(catalog, { id: subscription.id, plan: terms.plan })
  const amount = priceOf(plan, terms.interval)
  const period = billingPeriod({ anchor: terms.anchor, interval: terms.interval, at: end })
  return {
    next: { ...terms, period, amount },
    lines: [planLine(plan, terms.interval, amount, period), ...usage],
  }
}
