/** What deliveries and dead letters have in common: how what is in the log is changed. */
import { checkId, checkScope, coreErrors, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import type { webhooksEvents } from '../events.js'
import type { WebhooksStores } from '../storage/port.js'
import { besideOrder, Delivery, DeliveryView, type StoredDelivery } from './schema.js'
import type { DeliveryPatch } from './store.js'

/** What somebody does to a delivery; the engine alone gives one up. */
type DeliveryEvent = Exclude<keyof typeof webhooksEvents & `delivery.${string}`, 'delivery.dead_lettered'>

/**
 * Locks the delivery, changes it as `decide` says, and says so in the same transaction. `keepsPayload` keeps retention
 * from the payload until its end.
 */
export async function changeDelivery(
  { storage, emit }: Pick<Deps, 'storage' | 'emit'>,
  scope: Scope,
  id: string,
  type: DeliveryEvent,
  decide: (found: StoredDelivery, stores: WebhooksStores) => Promise<DeliveryPatch> | DeliveryPatch,
  { keepsPayload = false } = {},
): Promise<Delivery> {
  const { tenantId } = checkScope(scope)
  checkId(id)
  return storage.run(async (stores, tx) => {
    if (keepsPayload) {
      // Messages are locked before deliveries, as everywhere.
      const known = await stores.deliveries.get(tenantId, id)
      if (known) await stores.messages.withPayload([known.messageId], { keep: true })
    }
    const found = await stores.deliveries.lock(tenantId, id)
    if (!found) throw coreErrors.not_found()
    const patch = await decide(found, stores)
    await stores.deliveries.update(id, patch)
    const after = publicPart({ ...found, ...patch })
    const { messageId, endpointId, eventType } = after
    const data = { deliveryId: id, messageId, endpointId, eventType }
    const seen = { before: DeliveryView.parse(publicPart(found)), after: DeliveryView.parse(after) }
    await emit(scope, { type, resource: { type: 'delivery', id }, data, ...seen }, tx)
    return after
  }, scope.tx)
}

/**
 * Due now, for a change that keeps the payload. What has ended begins its schedule anew, without the lease that a lost
 * worker may have left.
 *
 * @throws ProblemError `delivery_in_flight`, `endpoint_deleted`, `endpoint_disabled`, `payload_expunged`.
 */
export async function dueNow(
  found: StoredDelivery,
  now: number,
  { endpoints, messages }: WebhooksStores,
): Promise<DeliveryPatch> {
  if (found.leaseUntil !== null && found.leaseUntil > now) throw webhooksErrors.delivery_in_flight()
  const endpoint = await endpoints.get(found.tenantId, found.endpointId)
  if (!endpoint) throw webhooksErrors.endpoint_deleted()
  if (!endpoint.enabled) throw webhooksErrors.endpoint_disabled({ detail: 'Enable it before you send to it.' })
  const withPayload = await messages.withPayload([found.messageId], { keep: true })
  if (withPayload.length === 0) throw webhooksErrors.payload_expunged()
  const restart = found.status === 'pending' ? {} : restarted
  const place = found.orderKey === null && endpoint.ordering !== null ? { position: besideOrder } : {}
  return { ...restart, ...place, status: 'pending', dueAt: now, endedAt: null }
}

const restarted = { step: 0, leaseToken: null, leaseUntil: null, counted: null, lost: 0 }

/** Without the tenant and the lease. */
export function publicPart(stored: StoredDelivery): Delivery {
  const waits = stored.status === 'pending' && stored.leaseToken === null
  return Delivery.parse({ ...stored, nextAttemptAt: waits ? stored.dueAt : null })
}
