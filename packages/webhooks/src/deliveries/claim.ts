/** The part of a claim that is the same on every storage. */
import type { StoredDelivery } from './schema.js'
import type { ClaimRequest } from './store.js'

/**
 * What a claim writes. The attempt counts from now on. After a lease that was lost the step of the schedule is taken again,
 * since nobody knows whether anything was sent; it is counted, because what kills its worker must not go round for ever.
 */
export function leased(row: StoredDelivery, request: ClaimRequest): StoredDelivery {
  return {
    ...row,
    attempts: row.attempts + 1,
    step: row.leaseToken === null ? row.step + 1 : row.step,
    lost: row.leaseToken === null ? row.lost : row.lost + 1,
    leaseToken: request.token,
    leaseUntil: request.leaseUntil,
    counted: isCounted(row.endpointId, request) ? true : row.counted,
  }
}

/** Of an order, claims look for what is being sent among what is counted. */
export function isCounted(endpointId: string, { counted, ordered }: ClaimRequest): boolean {
  return counted.has(endpointId) || ordered.has(endpointId)
}
