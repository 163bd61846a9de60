/** Steps of a subscription's life within a transaction that holds its lock. */
import type { Scope, Tx } from '@org/core'
import { planOfRow } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import { issueInvoice } from '../invoices/issue.js'
import { usageLines } from '../invoices/lines.js'
import type { InvoiceLine, PendingChange } from '../invoices/schema.js'
import type { Payment } from '../payments/schema.js'
import type { BillingStores } from '../storage/port.js'
import { carryUse, usedAhead } from '../usage/carry.js'
import { emitSubscription } from './events.js'
import type { Subscription } from './schema.js'

/** What was used of these meters in the current window; nothing is counted in it any more. */
export async function closeWindow(
  stores: BillingStores,
  subscription: Subscription,
  meters: readonly string[],
): Promise<Map<string, number>> {
  const { tenantId, id: holder, currentPeriodStart: windowStart } = subscription
  const used = new Map<string, number>()
  // Sorted: counters are locked in the same order by everyone.
  for (const meter of meters.toSorted()) {
    used.set(meter, await stores.usage.close({ tenantId, holder, meter, windowStart }))
  }
  return used
}

/** What was used so far in the current window, without closing it. */
export async function readWindow(stores: BillingStores, subscription: Subscription): Promise<Map<string, number>> {
  const { tenantId, id: holder, currentPeriodStart: windowStart } = subscription
  const counters = await stores.usage.counters({ tenantId, holder, windowStart })
  return new Map(counters.map((counter) => [counter.meter, counter.used]))
}

/** The overage of a period that is cut short at `end`. */
export function overage(
  deps: Deps,
  subscription: Subscription,
  used: ReadonlyMap<string, number>,
  end: number,
): InvoiceLine[] {
  const plan = planOfRow(deps.catalog, subscription)
  return usageLines(deps.catalog, plan, subscription.interval, used, { start: subscription.currentPeriodStart, end })
}

/** Ends the window early and bills what was used beyond the plan, if anything, with an invoice of its own. */
export async function endWindow(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  subscription: Subscription,
  end: number,
  reason: 'subscription_change' | 'subscription_end',
  tx: Tx,
): Promise<{ used: Map<string, number>; payment: Payment | null }> {
  const { id, currentPeriodStart: start } = subscription
  const used = await closeWindow(stores, subscription, Object.keys(planOfRow(deps.catalog, subscription).meters))
  const lines = overage(deps, subscription, used, end)
  if (lines.length === 0) return { used, payment: null }
  const draft = { subscriptionId: id, reason, lines, period: { start, end }, periodKey: `${id}:usage:${start}` }
  return { used, payment: (await issueInvoice(deps, stores, scope, draft, tx)).payment }
}

/** Puts a paid change into force. Answers the payment of the usage that it ends, if any is due. */
export async function applyChange(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  subscription: Subscription,
  change: PendingChange,
  invoiceId: string,
  tx: Tx,
): Promise<{ subscription: Subscription; payment: Payment | null }> {
  const { periodStart, periodEnd, endsWindow, ...terms } = change
  let payment: Payment | null = null
  if (endsWindow) {
    const ended = await endWindow(deps, stores, scope, subscription, periodStart, 'subscription_change', tx)
    payment = ended.payment
    const to = { tenantId: subscription.tenantId, holder: subscription.id, windowStart: periodStart }
    await carryUse(deps, stores, usedAhead(deps, subscription, ended.used, periodStart), to)
    // A payment that took until after the old period's end: uses since then stand in a window that never comes.
    const after = { ...subscription, currentPeriodStart: subscription.currentPeriodEnd }
    if (deps.runtime.clock.now() >= subscription.currentPeriodEnd) {
      await carryUse(deps, stores, await closeWindow(stores, after, [...ended.used.keys()]), to)
    }
  }
  const changed: Subscription = {
    ...subscription,
    ...terms,
    currentPeriodStart: periodStart,
    currentPeriodEnd: periodEnd,
    scheduledChange: null,
    billedInvoiceId: invoiceId,
    pendingInvoiceId: null,
    updatedAt: deps.runtime.clock.now(),
  }
  await stores.subscriptions.update(changed)
  await emitSubscription(deps, scope, 'updated', changed, tx, subscription)
  return { subscription: changed, payment }
}

/** It is over: the slot is free for another one. */
export async function endSubscription(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  subscription: Subscription,
  endedAt: number,
  tx: Tx,
): Promise<Subscription> {
  const now = deps.runtime.clock.now()
  const ended: Subscription = {
    ...subscription,
    status: 'canceled',
    liveSlot: null,
    scheduledChange: null,
    canceledAt: subscription.canceledAt ?? now,
    endedAt,
    updatedAt: now,
  }
  await stores.subscriptions.update(ended)
  await emitSubscription(deps, scope, 'canceled', ended, tx, subscription)
  return ended
}
