import type { StoredMessage } from './schema.js'

/** What was published to a tenant in some time, for jobs; null for no bound. `since` counts in, `until` does not. */
export interface PublishedQuery {
  tenantId: string
  since: number | null
  until: number | null
  /** The last that is part of it, in the order of their times and ids. */
  upTo: PublishedPlace
}

export type PublishedPlace = Pick<StoredMessage, 'createdAt' | 'id'>

/** A message without its payload. */
export type PublishedRow = Pick<
  StoredMessage,
  'id' | 'type' | 'channels' | 'orderingKey' | 'coalesceKey' | 'test' | 'fanOutAfter' | 'createdAt'
>

/** What of a message is sent. */
export type SentMessage = Pick<StoredMessage, 'id' | 'type' | 'channels' | 'body' | 'createdAt'>

/** Messages as one transaction sees them. */
export interface MessageStore {
  /**
   * Null if it was inserted; the tenant's earlier message if the idempotency key was used, also one that was committed
   * while this waited for it.
   */
  insertOrFind(message: StoredMessage): Promise<StoredMessage | null>
  /** Those without an idempotency key, many at once. */
  insert(messages: StoredMessage[]): Promise<void>
  get(tenantId: string, id: string): Promise<StoredMessage | null>
  /** For the delivery engine: of any tenant; ids that do not exist are left out. */
  byIds(ids: readonly string[]): Promise<SentMessage[]>
  /** Which of them still have a payload. With `keep`, it stays until the transaction ends; messages come before deliveries. */
  withPayload(ids: readonly string[], options?: { keep?: boolean }): Promise<string[]>
  /** In the order of their times and ids, without locks. */
  published(query: PublishedQuery, slice: { limit: number; after: PublishedPlace | null }): Promise<PublishedRow[]>
  /** Counts no further than the limit. */
  countPublished(query: PublishedQuery, limit: number): Promise<number>
  /** The last in the order of their times and ids; null if there is none. */
  lastPublished(tenantId: string): Promise<PublishedPlace | null>
  /** Fans out no further the tenant's other messages with the coalescing key of this one; waits for those who are at it. */
  stopFanOut(message: Pick<StoredMessage, 'id' | 'tenantId' | 'coalesceKey'>): Promise<void>
  /** Some that are still to be fanned out, locked: of each tenant the oldest alone. What others hold is left out. */
  toFanOut(limit: number): Promise<StoredMessage[]>
  /** Whether anything of the tenant is still to be fanned out. */
  anyToFanOut(tenantId: string): Promise<boolean>
  update(id: string, patch: Partial<Pick<StoredMessage, 'body' | 'fanOutAfter'>>): Promise<void>
}
