/** The part of a claim that is the same on every storage. */
import type { StoredDelivery } from './schema.js'
import type { ClaimRequest } from './store.js'

/** Takes rows in order as long as their endpoint has room, and notes what it took in `load`. */
export function takeWithRoom(rows: StoredDelivery[], load: Map<string, number>, perEndpoint: number): StoredDelivery[] {
  return rows.filter((row) => {
    const count = load.get(row.endpointId) ?? 0
    if (count >= perEndpoint) return false
    load.set(row.endpointId, count + 1)
    return true
  })
}

/** What a claim writes. The attempt counts from now on: a payload that kills the process must not loop for ever. */
export function leased(row: StoredDelivery, request: ClaimRequest): StoredDelivery {
  return {
    ...row,
    attempts: row.attempts + 1,
    step: row.step + 1,
    leaseToken: request.token,
    dueAt: request.leaseUntil,
  }
}
