import type { DeliveryStatus } from '../deliveries/schema.js'
import type { StoredStats } from './schema.js'

/** What is counted rather than listed, as one transaction sees it. */
export interface StatsStore {
  /** Adds to what is there, in one statement for all. Of each endpoint and hour there is one row at the most. */
  add(rows: StoredStats[]): Promise<void>
  /** The hours of an endpoint that begin within [since, until), the oldest first. */
  between(tenantId: string, endpointId: string, since: number, until: number): Promise<StoredStats[]>
  /** How many deliveries of an endpoint have this status; stops counting at `limit`. */
  countOf(tenantId: string, endpointId: string, status: CountedStatus, limit: number): Promise<number>
  /** How many messages a worker still has to fan out; stops counting at `limit`. */
  countFanOuts(limit: number): Promise<number>
  /** Removes some rows of the oldest hour that begins before then. Answers how many. */
  removeBefore(time: number, limit: number): Promise<number>
}

/** The statuses that something is still to be done about. */
export type CountedStatus = Extract<DeliveryStatus, 'pending' | 'held' | 'dead_letter'>
