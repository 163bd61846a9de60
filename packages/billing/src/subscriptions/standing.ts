/** Where a tenant stands at a moment: its plan, and the window that its usage counts in. Pure. */
import { type BillingPeriod, billingPeriod } from '../arithmetic/period.js'
import { type Catalog, planOfRow } from '../catalog/define.js'
import type { Interval, Plan, Terms } from '../catalog/schema.js'
import type { Subscription } from './schema.js'

export interface Standing {
  /** Null without a subscription and without a default plan. */
  plan: Plan | null
  interval: Interval
  /** A subscription's id, or `default`. */
  holder: string
  window: BillingPeriod
  /** The grace of an overdue payment has run out. */
  paymentDue: boolean
}

/** Calendar months in UTC. */
const calendarAnchor = Date.UTC(2000, 0, 1)

/**
 * What holds at `at`, whether or not `runDueWork` has come by since the period ended: a scheduled change or
 * cancellation counts from its very moment.
 */
export function standingAt(
  catalog: Catalog,
  subscription: Subscription | null,
  at: number,
  gracePeriodMs: number,
): Standing {
  const terms = subscription && subscription.status !== 'incomplete' ? termsAt(subscription, at) : null
  if (!subscription || !terms) {
    const window = billingPeriod({ anchor: calendarAnchor, interval: 'month', at })
    return { plan: catalog.defaultPlan, interval: 'month', holder: 'default', window, paymentDue: false }
  }
  const { pastDueSince } = subscription
  return {
    plan: planOfRow(catalog, { id: subscription.id, plan: terms.plan }),
    interval: terms.interval,
    holder: subscription.id,
    window: terms.period,
    paymentDue: pastDueSince !== null && at >= pastDueSince + gracePeriodMs,
  }
}

function termsAt(subscription: Subscription, at: number): (Terms & { period: BillingPeriod }) | null {
  const { plan, interval, currentPeriodStart: start, currentPeriodEnd: end } = subscription
  if (at < end) return { plan, interval, period: { start, end } }
  const next = termsAfterPeriod(subscription)
  return next && { ...next, period: billingPeriod({ anchor: next.anchor, interval: next.interval, at }) }
}

/** What a subscription becomes when its period ends; null if it ends with it. */
export function termsAfterPeriod(subscription: Subscription): (Terms & { anchor: number }) | null {
  const { plan, interval, anchor, scheduledChange, cancelAtPeriodEnd, currentPeriodEnd } = subscription
  if (cancelAtPeriodEnd) return null
  if (!scheduledChange) return { plan, interval, anchor }
  // Another interval has other boundaries, counted from where it begins.
  return { ...scheduledChange, anchor: scheduledChange.interval === interval ? anchor : currentPeriodEnd }
}
