/** Taking back what is still to be sent. */
import type { WebhooksStores } from '../storage/port.js'
import type { DeliveriesOf, DeliveryPatch } from './store.js'

/**
 * Cancels what is pending or held, and brings forward what was put off behind it in an order. An attempt under way keeps
 * its lease, so that it counts as delivered if it arrives, and is the last; `patch` may take the lease away. Answers how
 * many were canceled.
 */
export async function cancelWaiting(
  { deliveries }: WebhooksStores,
  of: DeliveriesOf,
  now: number,
  patch: DeliveryPatch = {},
): Promise<number> {
  const waiting = await deliveries.lockWaiting(of)
  if (waiting.length === 0) return 0
  const ids = waiting.map(({ id }) => id)
  await deliveries.updateAll(ids, { ...patch, status: 'canceled', endedAt: now })
  for (const { endpointId, orderKey, position, dueAt } of waiting) {
    if (orderKey !== null && dueAt > now) await deliveries.moveBehind(endpointId, orderKey, position, now)
  }
  return waiting.length
}
