import type { Slice } from '@org/core'
import type { Attempt, DeliveryFilter, StoredDelivery } from './schema.js'

/** An endpoint that has something pending, and when the earliest of it is due. */
export interface Due {
  endpointId: string
  dueAt: number
}

/** What a worker asks for. */
export interface ClaimRequest {
  now: number
  /** Only what was due by then: `now`, unless a drain must not chase what comes after it. */
  dueBy: number
  /** How many at the most of which endpoint. */
  rooms: ReadonlyMap<string, number>
  /**
   * The endpoints that keep an order: of those, only the first of each key is taken, and only while no other of the key
   * is leased. Their leases are counted as well.
   */
  ordered: ReadonlySet<string>
  /** The endpoints whose leases are counted. */
  counted: ReadonlySet<string>
  token: string
  leaseUntil: number
}

export interface Claimed {
  /** As they are after the claim: leased, and the attempt counted. */
  deliveries: StoredDelivery[]
  /** As they were: what somebody had leased and never finished. */
  expired: StoredDelivery[]
}

/** What was delivered under a lease, and the status of the answer. */
export interface Delivered {
  id: string
  leaseToken: string
  status: number | null
}

/** Dead letters, or held deliveries as well, for jobs. */
export interface SetAsideQuery {
  tenantId: string
  /** Null for all. */
  endpointId: string | null
  statuses: readonly ('dead_letter' | 'held')[]
  /** Created in that time; null for no bound. `since` counts in, `until` does not. */
  since: number | null
  until: number | null
  /** The highest id that is part of it. */
  upTo: string
}

export type SetAside = Pick<StoredDelivery, 'id' | 'messageId' | 'eventType' | 'createdAt'>

/** All deliveries of a message, or of a tenant's messages with that coalescing key. */
export type DeliveriesOf = { messageId: string } | { tenantId: string; coalesceKey: string }

/** A part of a list, which may end before the rows do. */
export interface DeliverySlice extends Slice {
  /** The lowest id that is part of it. */
  from?: string | null
}

export type DeliveryPatch = Partial<Omit<StoredDelivery, 'id' | 'tenantId'>>

/** Deliveries and their attempts as one transaction sees them. */
export interface DeliveryStore {
  insert(deliveries: StoredDelivery[]): Promise<void>
  get(tenantId: string, id: string): Promise<StoredDelivery | null>
  /** Reads it and locks it until the transaction ends. */
  lock(tenantId: string, id: string): Promise<StoredDelivery | null>
  /** Reads and locks those that exist, for finishing. */
  lockAll(ids: readonly string[]): Promise<StoredDelivery[]>
  /** The newest first. */
  list(tenantId: string, filter: DeliveryFilter, slice: DeliverySlice): Promise<StoredDelivery[]>
  /**
   * The lowest id that a list is to look at, which is that of the `limit`th row that it would, if it would look at more
   * than that to find what the filter asks for. Null if it may look at all.
   */
  lookDownTo(tenantId: string, filter: DeliveryFilter, slice: DeliverySlice): Promise<string | null>
  update(id: string, patch: DeliveryPatch): Promise<void>
  /** The same patch for many; for rows that this transaction has locked. */
  updateAll(ids: readonly string[], patch: DeliveryPatch): Promise<void>
  /** Every endpoint that has something pending, also if it is leased. Its cost is by the endpoints, not by what they have. */
  agenda(): Promise<Due[]>
  /**
   * Leases what is pending, due and not leased, or whose lease has ended, of each endpoint the longest due first and of
   * those the oldest, and counts an attempt for each. Skips what others are claiming at the same time.
   */
  claim(request: ClaimRequest): Promise<Claimed>
  /**
   * Ends those of them whose lease is still the one that is named, also if they were canceled meanwhile. Answers their
   * ids.
   */
  finishDelivered(delivered: readonly Delivered[], now: number): Promise<ReadonlySet<string>>
  /** How many of these endpoints' deliveries are leased and counted, by endpoint. */
  inFlight(endpointIds: readonly string[], now: number): Promise<Map<string, number>>
  /** Writes to each row its own values; for rows that this transaction has locked. All patches have the same fields. */
  updateEach(patches: (DeliveryPatch & { id: string })[]): Promise<void>
  /** The last of what is pending or held in the order of a key; null if nothing is. */
  lastInOrder(endpointId: string, orderKey: string): Promise<Pick<StoredDelivery, 'position' | 'dueAt'> | null>
  /** Puts off, or brings forward, what is pending behind a place in the order of a key. */
  moveBehind(endpointId: string, orderKey: string, position: number, dueAt: number): Promise<void>
  /** Reads and locks what is pending or held, also what is being sent. Its cost is by that, not by what has ended. */
  lockWaiting(of: DeliveriesOf): Promise<StoredDelivery[]>
  /** In the order of their ids, without locks. */
  setAside(query: SetAsideQuery, slice: Slice): Promise<SetAside[]>
  /** Counts no further than the limit. */
  countSetAside(query: SetAsideQuery, limit: number): Promise<number>
  /** The highest id of a tenant, or of one endpoint; null if there is none. */
  lastId(tenantId: string, endpointId: string | null): Promise<string | null>
  /** What an endpoint has of these messages, without locks. */
  idsTo(endpointId: string, messageIds: readonly string[]): Promise<string[]>
  /** How many deliveries each message has. */
  countOf(messageId: string): Promise<number>

  /** Gives what an endpoint has yet to send, or may send again, without a key the `position` that says so. */
  standBeside(endpointId: string): Promise<void>
  /**
   * Makes due again what an endpoint's disabling held up, so many at the most. Answers how many it found: fewer than
   * that when none is left.
   */
  releaseHeld(endpointId: string, now: number, limit: number): Promise<number>
  /** Cancels what an endpoint has pending or held; what is being sent keeps its lease, so that it can be finished. */
  cancelAll(endpointId: string, now: number): Promise<void>

  insertAttempts(attempts: Attempt[]): Promise<void>
  /** The latest first. */
  attempts(deliveryId: string, slice: Slice<[number: number]>): Promise<Attempt[]>
}
