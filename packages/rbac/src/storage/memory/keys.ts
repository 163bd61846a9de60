import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { KeySecret, StoredKey } from '../../keys/schema.js'
import type { KeyStore } from '../../keys/store.js'
import { passes } from './filter.js'

export function memoryKeys(
  rows: MemoryRows<StoredKey>,
  secretRows: MemoryRows<KeySecret>,
  tx: MemoryTransaction,
): KeyStore {
  const table = new MemoryTable(rows, tx, { key: ({ id }) => id })
  const secrets = new MemoryTable(secretRows, tx, { key: ({ hash }) => hash })
  return {
    insert: async (key) => table.insert(key),
    async find(tenantId, id) {
      const key = table.get(id)
      return key?.tenantId === tenantId ? key : null
    },
    list: async (tenantId, { userId }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && passes(userId, row.userId ?? undefined)),
        slice,
      ),
    lockOfUser: async (tenantId, userId) =>
      table
        .filter((row) => row.tenantId === tenantId && row.userId === userId && row.revokedAt === null)
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    async removeAll(tenantId) {
      secrets.remove(({ keyId }) => table.get(keyId)?.tenantId === tenantId)
      table.remove((row) => row.tenantId === tenantId)
    },
    async bySecret(hash) {
      const secret = secrets.get(hash)
      const key = secret && table.get(secret.keyId)
      return secret && key ? { key, secret } : null
    },
    secretsOf: async (keyId) =>
      secrets.filter((secret) => secret.keyId === keyId).sort((a, b) => (a.hash < b.hash ? -1 : 1)),
    async setSecrets(keyId, wanted) {
      secrets.remove((secret) => secret.keyId === keyId)
      for (const secret of wanted) secrets.insert(secret)
    },
    async used(uses) {
      for (const { id, at } of uses) {
        table.update((row) => row.id === id && (row.lastUsedAt ?? 0) < at, { lastUsedAt: at })
      }
    },
  }
}
