import type { StoredMessage } from './schema.js'

/** Messages as one transaction sees them. They never change. */
export interface MessageStore {
  /** False, and nothing written, if the tenant has used the idempotency key. Waits for a twin that is being written. */
  insertUnlessPublished(message: StoredMessage): Promise<boolean>
  /** Reads what is committed even if this transaction began before that. */
  byIdempotencyKey(tenantId: string, key: string): Promise<StoredMessage | null>
  get(tenantId: string, id: string): Promise<StoredMessage | null>
  /** For the delivery engine: of any tenant; ids that do not exist are left out. */
  byIds(ids: readonly string[]): Promise<StoredMessage[]>
}
