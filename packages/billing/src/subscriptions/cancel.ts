/** How a subscription is ended by hand, and how that is taken back. */
import type { Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import { chargingStep, collectLater } from '../payments/collect.js'
import type { Payment } from '../payments/schema.js'
import { endSubscription, endWindow } from './apply.js'
import { emitSubscription } from './events.js'
import type { Subscription } from './schema.js'
import { lockSteady } from './steady.js'

/** It ends with its period; `runDueWork` sees to that. @throws ProblemError `no_change`. */
export function cancelLater(deps: Deps, scope: Scope, id: string, now: number): Promise<Subscription> {
  return update(deps, scope, id, (before) => {
    if (before.cancelAtPeriodEnd) throw billingErrors.no_change({ detail: 'It ends with the period already.' })
    return { cancelAtPeriodEnd: true, canceledAt: now, scheduledChange: null }
  })
}

/** It ends at `now`, whether or not the last invoice is paid at once. */
export function cancelNow(deps: Deps, scope: Scope, id: string, now: number): Promise<void> {
  return chargingStep(deps, scope, async (inner) => {
    const payment = await end(deps, inner, id, now)
    if (payment) await collectLater(deps, inner, payment)
  })
}

/** Nothing is scheduled any more. @throws ProblemError `not_canceling`. */
export function takeBackScheduled(deps: Deps, scope: Scope, id: string): Promise<Subscription> {
  return update(deps, scope, id, (before) => {
    if (!before.cancelAtPeriodEnd && !before.scheduledChange) throw billingErrors.not_canceling()
    return { cancelAtPeriodEnd: false, canceledAt: null, scheduledChange: null }
  })
}

function end(deps: Deps, scope: Scope, id: string, now: number): Promise<Payment | null> {
  return deps.storage.run(async (stores, tx) => {
    const subscription = await lockSteady(stores, scope, id)
    const at = Math.max(now, subscription.currentPeriodStart)
    const { payment } = await endWindow(deps, stores, scope, subscription, at, 'subscription_end', tx)
    await endSubscription(deps, stores, scope, subscription, at, tx)
    return payment
  }, scope.tx)
}

function update(deps: Deps, scope: Scope, id: string, patch: (before: Subscription) => Partial<Subscription>) {
  return deps.storage.run(async (stores, tx) => {
    const before = await lockSteady(stores, scope, id)
    const after = { ...before, ...patch(before), updatedAt: deps.runtime.clock.now() }
    await stores.subscriptions.update(after)
    await emitSubscription(deps, scope, 'updated', after, tx, before)
    return after
  }, scope.tx)
}
