/** The end of a period: what was used is billed, the next period begins, what was scheduled happens. */
import type { Scope } from '@org/core'
import { planOfRow } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import { issueInvoice } from '../invoices/issue.js'
import { billedMeters } from '../invoices/lines.js'
import { chargingStep, collect } from '../payments/collect.js'
import type { Payment } from '../payments/schema.js'
import { closeWindow, endSubscription } from '../subscriptions/apply.js'
import { decideRenewal } from '../subscriptions/decide.js'
import { emitSubscription } from '../subscriptions/events.js'
import type { Subscription } from '../subscriptions/schema.js'

type Outcome = 'not_due' | 'waiting' | 'renewed' | 'changed' | 'canceled'

export interface RenewalCounts {
  renewed: number
  changed: number
  canceled: number
  declined: number
}

/** Bills every period that has ended by `now`, one transaction each, so that a crash in between loses none. */
export async function catchUp(deps: Deps, scope: Scope, id: string, now: number): Promise<RenewalCounts> {
  const counts: RenewalCounts = { renewed: 0, changed: 0, canceled: 0, declined: 0 }
  for (;;) {
    const { outcome, declined } = await chargingStep(deps, scope, async (inner) => {
      const ended = await endPeriod(deps, inner, id, now)
      return { ...ended, declined: ended.payment && (await collect(deps, inner, ended.payment)) }
    })
    if (outcome === 'not_due' || outcome === 'waiting') return counts
    if (outcome === 'canceled') counts.canceled++
    else counts.renewed++
    if (outcome === 'changed') counts.changed++
    if (declined !== null) counts.declined++
    if (outcome === 'canceled') return counts
  }
}

/** Whoever gets the lock bills the period; the next one finds it billed. A unique key stands behind that. */
function endPeriod(deps: Deps, scope: Scope, id: string, now: number) {
  return deps.storage.run(async (stores, tx): Promise<{ outcome: Outcome; payment: Payment | null }> => {
    const subscription = await stores.subscriptions.lock(scope.tenantId, id)
    if (!subscription || !isDue(subscription, now)) return { outcome: 'not_due', payment: null }
    if (subscription.pendingInvoiceId !== null) return { outcome: 'waiting', payment: null }

    const { currentPeriodStart: start, currentPeriodEnd: end } = subscription
    const meters = billedMeters(planOfRow(deps.catalog, subscription))
    const used = await closeWindow(stores, subscription, meters)
    const { next, lines } = decideRenewal(deps.catalog, subscription, used)
    const draft = {
      subscriptionId: id,
      reason: next ? ('subscription_renewal' as const) : ('subscription_end' as const),
      lines,
      period: next?.period ?? { start, end },
      periodKey: `${id}:${end}`,
    }
    const issued = lines.length > 0 ? await issueInvoice(deps, stores, scope, draft, tx) : null
    const payment = issued?.payment ?? null
    if (!next) {
      await endSubscription(deps, stores, scope, subscription, end, tx)
      return { outcome: 'canceled', payment }
    }
    const { period, ...terms } = next
    const renewed: Subscription = {
      ...subscription,
      ...terms,
      currentPeriodStart: period.start,
      currentPeriodEnd: period.end,
      scheduledChange: null,
      billed: terms.amount,
      billedInvoiceId: issued?.invoice.id ?? null,
      updatedAt: deps.runtime.clock.now(),
    }
    await stores.subscriptions.update(renewed)
    await emitSubscription(deps, scope, 'renewed', renewed, tx, subscription)
    if (!subscription.scheduledChange) return { outcome: 'renewed', payment }
    await emitSubscription(deps, scope, 'updated', renewed, tx, subscription)
    return { outcome: 'changed', payment }
  }, scope.tx)
}

function isDue(subscription: Subscription, now: number): boolean {
  return subscription.liveSlot !== null && subscription.status !== 'incomplete' && subscription.currentPeriodEnd <= now
}
