/** The part of finishing that is the same on every storage. */
import type { StoredDelivery } from './schema.js'

/** What a delivery that was delivered becomes, besides the status of the answer. */
export function ended(now: number) {
  return {
    status: 'delivered',
    leaseToken: null,
    leaseUntil: null,
    lost: 0,
    counted: null,
    lastError: null,
    endedAt: now,
  } as const satisfies Partial<StoredDelivery>
}
