import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { Subscription } from './schema.js'

type SubscriptionEvent = 'created' | 'updated' | 'renewed' | 'canceled'

/** Emits `subscription.<what>`. */
export function emitSubscription(
  deps: Pick<Deps, 'emit'>,
  scope: Scope,
  what: SubscriptionEvent,
  after: Subscription,
  tx: Tx,
  before?: Subscription,
): Promise<void> {
  const resource = { type: 'subscription', id: after.id }
  const change = { ...(before && { before: snapshot(before) }), after: snapshot(after) }
  return deps.emit(scope, { type: `subscription.${what}`, data: snapshot(after), resource, ...change }, tx)
}

/** What others may know of it; the books that it keeps for itself stay out. */
function snapshot(subscription: Subscription): Record<string, unknown> {
  const {
    id,
    tenantId: _,
    liveSlot: _slot,
    billed: _billed,
    billedInvoiceId: _invoice,
    pendingInvoiceId: _pending,
    ...rest
  } = subscription
  return { subscriptionId: id, ...rest }
}
