import type { Slice } from '@org/core'
import type { ReadOptions } from '../assignments/store.js'
import type { KeySecret, StoredKey } from './schema.js'

/** Keys, and their secrets as hashes. */
export interface KeyStore {
  insert(key: StoredKey): Promise<void>
  find(tenantId: string, id: string, options?: ReadOptions): Promise<StoredKey | null>
  /** The newest first. */
  list(tenantId: string, filter: { userId?: string | undefined }, slice: Slice): Promise<StoredKey[]>
  /** Those of one maker that are not revoked, as they are now; nobody else changes them until the transaction ends. */
  lockOfUser(tenantId: string, userId: string): Promise<StoredKey[]>
  update(id: string, patch: Partial<Omit<StoredKey, 'id' | 'tenantId'>>): Promise<void>
  /** With their secrets, of a tenant that goes. */
  removeAll(tenantId: string): Promise<void>
  /** One read by the hash, which is the secrets' primary key; of any tenant, also after its end. */
  bySecret(hash: string): Promise<{ key: StoredKey; secret: KeySecret } | null>
  /** As they are now; nobody else changes them until the transaction ends. */
  secretsOf(keyId: string): Promise<KeySecret[]>
  /** These and no others. */
  setSecrets(keyId: string, secrets: readonly KeySecret[]): Promise<void>
  /** Notes when keys were last used, in epoch milliseconds; a later use that is noted already stays. */
  used(uses: readonly { id: string; at: number }[]): Promise<void>
}
