import type { Slice } from '@org/core'
import type { StoredEndpoint } from './schema.js'

/** What fan-out must know about an endpoint. */
export type Subscriber = Pick<
  StoredEndpoint,
  'id' | 'eventTypes' | 'channels' | 'filter' | 'ordering' | 'retryScheduleMs' | 'createdAt'
>

/** What the engine knows of an endpoint. */
export interface Health {
  endpointId: string
  tenantId: string
  /** Attempts that failed since the last success. */
  failures: number
  /** When the first of them did; null if the last attempt succeeded, or none was made. */
  failingSince: number | null
  /** The circuit is open until then, and after that lets one attempt through; null while it is closed. */
  openUntil: number | null
  /** How often it was opened since the last success. */
  opened: number
  /** The rate limit's theoretical arrival time (GCRA): the bucket is full again by then. */
  bucketAt: number
}

/** Endpoints as one transaction sees them. */
export interface EndpointStore {
  insert(endpoint: StoredEndpoint): Promise<void>
  get(tenantId: string, id: string): Promise<StoredEndpoint | null>
  /** Reads it and locks it until the transaction ends. Endpoints are locked before deliveries. */
  lock(tenantId: string, id: string): Promise<StoredEndpoint | null>
  /** The newest first. */
  list(tenantId: string, slice: Slice): Promise<StoredEndpoint[]>
  update(id: string, patch: Partial<Omit<StoredEndpoint, 'id' | 'tenantId'>>): Promise<void>
  remove(id: string): Promise<void>
  /** Endpoints of a tenant, enabled or not, in the order of their ids. */
  subscribers(tenantId: string, slice: Slice): Promise<Subscriber[]>
  /** For the delivery engine: of any tenant; ids that do not exist are left out. */
  byIds(ids: readonly string[]): Promise<StoredEndpoint[]>

  /** Without locks; every endpoint has one. */
  health(ids: readonly string[]): Promise<Health[]>
  /** Locks them until the transaction ends, without waiting: what others hold is left out. */
  lockHealth(ids: readonly string[]): Promise<Health[]>
  /** The same, but waits; in the order of the ids, as everywhere. */
  awaitHealth(ids: readonly string[]): Promise<Health[]>
  updateHealth(patches: Omit<Health, 'tenantId'>[]): Promise<void>
}
