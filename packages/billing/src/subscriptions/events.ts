import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { type Subscription, SubscriptionView } from './schema.js'

type SubscriptionEvent = 'created' | 'updated' | 'renewed' | 'canceled'

/** Emits `subscription.<what>`. */
export function emitSubscription(
  { emit }: Pick<Deps, 'emit'>,
  scope: Scope,
  what: SubscriptionEvent,
  after: Subscription,
  tx: Tx,
  before?: Subscription,
): Promise<void> {
  const view = SubscriptionView.parse(after)
  const { id, plan, interval, status, currentPeriodStart, currentPeriodEnd, cancelAtPeriodEnd } = view
  const period = { currentPeriodStart, currentPeriodEnd, cancelAtPeriodEnd }
  const data = { subscriptionId: id, plan, interval, status, ...period }
  const change = { ...(before && { before: SubscriptionView.parse(before) }), after: view }
  return emit(scope, { type: `subscription.${what}`, data, resource: { type: 'subscription', id }, ...change }, tx)
}
