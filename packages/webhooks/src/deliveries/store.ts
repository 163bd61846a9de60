import type { Slice } from '@org/core'
import type { Attempt, DeliveryFilter, StoredDelivery } from './schema.js'

/** What a worker asks for. */
export interface ClaimRequest {
  now: number
  /** Only what was due by then; `now` unless a drain must not chase what comes after it. */
  dueBy: number
  limit: number
  /** How many of one endpoint's deliveries this worker may have in flight. */
  perEndpoint: number
  /** How many it has already, by endpoint. */
  inFlight: ReadonlyMap<string, number>
  token: string
  leaseUntil: number
}

export interface Claimed {
  /** As they are after the claim: leased, and the attempt counted. */
  deliveries: StoredDelivery[]
  /** As they were: what somebody had leased and never finished. */
  expired: StoredDelivery[]
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
  list(tenantId: string, filter: DeliveryFilter, slice: Slice): Promise<StoredDelivery[]>
  update(id: string, patch: DeliveryPatch): Promise<void>
  /** The same patch for many; for rows that this transaction has locked. */
  updateAll(ids: readonly string[], patch: DeliveryPatch): Promise<void>

  /** Whether a claim would find anything. Takes no locks. */
  anyDue(now: number): Promise<boolean>
  /**
   * Leases what is pending, due and not leased, or whose lease has ended, the longest due first, and counts an attempt
   * for each. Skips what others are claiming at the same time.
   */
  claim(request: ClaimRequest): Promise<Claimed>

  /** Makes what an endpoint's disabling held up due again. */
  releaseHeld(endpointId: string, now: number): Promise<void>
  /** Cancels what an endpoint has pending or held; what is being sent keeps its lease, so that it can be finished. */
  cancelAll(endpointId: string, now: number): Promise<void>

  insertAttempts(attempts: Attempt[]): Promise<void>
  /** The latest first. */
  attempts(deliveryId: string, slice: Slice<[number: number]>): Promise<Attempt[]>
}
