/** How a subscription begins. */
import type { Scope, Tx } from '@org/core'
import { billingPeriod } from '../arithmetic/period.js'
import { priceOf } from '../catalog/define.js'
import type { Interval, Plan } from '../catalog/schema.js'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import { issueInvoice } from '../invoices/issue.js'
import { planLine } from '../invoices/lines.js'
import type { Payment } from '../payments/schema.js'
import type { BillingStores } from '../storage/port.js'
import { carryUse, usedAhead } from '../usage/carry.js'
import { readWindow } from './apply.js'
import { emitSubscription } from './events.js'
import { mainSlot, type Subscription } from './schema.js'

/** Takes the tenant's slot and drafts the first invoice. */
export async function startSubscription(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  plan: Plan,
  asked: Interval | undefined,
  tx: Tx,
): Promise<{ id: string; payment: Payment | null }> {
  const interval = asked ?? (plan.prices.month === undefined && plan.prices.year !== undefined ? 'year' : 'month')
  const amount = priceOf(plan, interval)
  const now = deps.runtime.clock.now()
  const period = billingPeriod({ anchor: now, interval, at: now })
  const subscription: Subscription = {
    id: deps.runtime.id('sub'),
    tenantId: scope.tenantId,
    plan: plan.id,
    interval,
    currency: deps.catalog.currency,
    amount,
    status: 'incomplete',
    anchor: now,
    currentPeriodStart: period.start,
    currentPeriodEnd: period.end,
    cancelAtPeriodEnd: false,
    scheduledChange: null,
    canceledAt: null,
    endedAt: null,
    pastDueSince: null,
    createdAt: now,
    updatedAt: now,
    liveSlot: mainSlot,
    billed: amount,
    billedInvoiceId: null,
    pendingInvoiceId: null,
  }
  const { id } = subscription
  if (!(await stores.subscriptions.insert(subscription))) {
    throw billingErrors.subscription_exists({ detail: 'Change it, or cancel it first.' })
  }
  await carryFree(deps, stores, subscription)
  const { invoice, payment } = await issueInvoice(
    deps,
    stores,
    scope,
    {
      subscriptionId: id,
      reason: 'subscription_create',
      lines: [planLine(plan, interval, amount, period)],
      period,
      periodKey: `${id}:${period.start}`,
      untilPaid: true,
    },
    tx,
  )
  if (payment) {
    await stores.subscriptions.update({ ...subscription, billedInvoiceId: invoice.id, pendingInvoiceId: invoice.id })
    return { id, payment }
  }
  const active: Subscription = { ...subscription, status: 'active', billedInvoiceId: invoice.id }
  await stores.subscriptions.update(active)
  await emitSubscription(deps, scope, 'created', active, tx)
  return { id, payment: null }
}

/** Ending a period that cost nothing and beginning another one does not bring its quota again. */
async function carryFree(deps: Deps, stores: BillingStores, started: Subscription): Promise<void> {
  const { tenantId, id: holder, currentPeriodStart: windowStart } = started
  const [last] = await stores.subscriptions.list(tenantId, { status: 'canceled' }, { limit: 1, after: null })
  if (!last || last.billed > 0 || last.endedAt === null || last.currentPeriodEnd <= windowStart) return
  // A plan that the host no longer sells is nothing to begin again.
  if (!Object.hasOwn(deps.catalog.plans, last.plan)) return
  const ahead = usedAhead(deps, last, await readWindow(stores, last), last.endedAt)
  await carryUse(deps, stores, ahead, { tenantId, holder, windowStart })
}
