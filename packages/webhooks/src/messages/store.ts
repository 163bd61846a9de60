import type { StoredMessage } from './schema.js'

/** Messages as one transaction sees them. They never change. */
export interface MessageStore {
  /**
   * Null if it was inserted; the tenant's earlier message if the idempotency key was used, also one that was committed
   * while this waited for it.
   */
  insertOrFind(message: StoredMessage): Promise<StoredMessage | null>
  get(tenantId: string, id: string): Promise<StoredMessage | null>
  /** For the delivery engine: of any tenant; ids that do not exist are left out. */
  byIds(ids: readonly string[]): Promise<StoredMessage[]>
}
