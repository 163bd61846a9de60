/** What the kinds of jobs have in common: a walk over rows in a fixed order, up to a fixed end. */

import type { StoredDelivery } from '../deliveries/schema.js'
import type { DeliveryPatch } from '../deliveries/store.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import type { WebhooksStores } from '../storage/port.js'
import type { Place, StoredJob } from './schema.js'

/** How many rows one turn looks at. */
export const rowsPerTurn = 500

/** What a walk must know of its job. */
export type Errand = Pick<StoredJob, 'kind' | 'tenantId' | 'endpointId' | 'params' | 'reached' | 'upTo'>

/** What a turn did. */
export interface Turn {
  processed: number
  affected: number
  skipped: number
  /** Where the next turn goes on; null if this was the last. */
  reached: Place | null
  /** The endpoints that now have something due. */
  endpointIds: string[]
}

/** One kind of job. `endpoint` is the one that the job is about, locked; null if it is about all. */
export interface Walk {
  /** The last row there is; null if there is none. */
  end(stores: WebhooksStores, errand: Errand): Promise<Place | null>
  /** How many rows there are up to its end; counts no further than the limit. */
  count(stores: WebhooksStores, errand: Errand, limit: number): Promise<number>
  /** Goes on after `reached`, within the transaction that moves it. */
  turn(stores: WebhooksStores, errand: Errand, endpoint: StoredEndpoint | null): Promise<Turn>
}

/** Begins the schedule anew, and fences out whoever may still hold a lease that has ended. */
export function afresh(status: 'pending' | 'held', dueAt: number) {
  return {
    status,
    dueAt,
    step: 0,
    leaseToken: null,
    leaseUntil: null,
    counted: null,
    lost: 0,
    endedAt: null,
  } satisfies DeliveryPatch
}

/** Somebody is sending it right now. */
export function isBeingSent({ leaseUntil }: StoredDelivery, now: number): boolean {
  return leaseUntil !== null && leaseUntil > now
}

/** After a full page there may be more. */
export function reachedBy(rows: readonly Place[]): Place | null {
  const last = rows.length < rowsPerTurn ? undefined : rows.at(-1)
  return last ? { createdAt: last.createdAt, id: last.id } : null
}

export const unique = (values: readonly string[]): string[] => [...new Set(values)]
