import type { Slice } from '@org/core'
import type { StoredEndpoint } from './schema.js'

/** What fan-out must know about an endpoint. */
export type Subscriber = Pick<StoredEndpoint, 'id' | 'eventTypes' | 'channels'>

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
  /** All endpoints of a tenant, enabled or not. */
  subscribers(tenantId: string): Promise<Subscriber[]>
  /** For the delivery engine: of any tenant; ids that do not exist are left out. */
  byIds(ids: readonly string[]): Promise<StoredEndpoint[]>
}
