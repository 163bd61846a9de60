import { dialectOf, integer, json, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { KeySecret, RateLimit, StoredKey } from '../../keys/schema.js'
import type { KeyStore } from '../../keys/store.js'

type Found = StoredKey & { secretHash: string; secretExpiresAt: number | null }

export function knexKeys(db: Knex, prefix: string): KeyStore {
  const keys = `${prefix}keys`
  const secrets = `${prefix}key_secrets`
  const columns = {
    id: text,
    tenantId: text,
    name: text,
    start: text,
    scopes: json<string[]>(),
    userId: nullable(text),
    allowedIps: nullable(json<string[]>()),
    rateLimit: nullable(json<RateLimit>()),
    expiresAt: nullable(integer),
    lastUsedAt: nullable(integer),
    createdAt: integer,
    revokedAt: nullable(integer),
  }
  const table = new KnexTable<StoredKey>(db, keys, columns)
  const found = new KnexTable<Found>(db, keys, { ...columns, secretHash: text, secretExpiresAt: nullable(integer) })
  const secretTable = new KnexTable<KeySecret>(db, secrets, {
    hash: text,
    keyId: text,
    expiresAt: nullable(integer),
  })
  return {
    insert: (key) => table.insert(key),
    find: (tenantId, id, { lock = false } = {}) => (lock ? table.lock({ tenantId, id }) : table.find({ tenantId, id })),
    list: (tenantId, { userId }, slice) =>
      table.newestFirst({ tenantId, ...(userId !== undefined && { userId }) }, slice),
    lockOfUser: (tenantId, userId) =>
      table.all((query) => {
        const narrowed = query.where(table.encode({ tenantId, userId })).whereNull('revoked_at').orderBy('id')
        return dialectOf(db) === 'sqlite' ? narrowed : narrowed.forUpdate()
      }),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    async removeAll(tenantId) {
      await secretTable.remove((query) => query.whereIn('key_id', db(keys).where({ tenant_id: tenantId }).select('id')))
      await table.remove({ tenantId })
    },
    async bySecret(hash) {
      const [row] = await db(secrets)
        .join(keys, `${keys}.id`, `${secrets}.key_id`)
        .where(`${secrets}.hash`, hash)
        .select(`${keys}.*`, `${secrets}.hash as secret_hash`, `${secrets}.expires_at as secret_expires_at`)
      if (!row) return null
      const { secretHash, secretExpiresAt, ...key } = found.decode(row)
      return { key, secret: { hash: secretHash, keyId: key.id, expiresAt: secretExpiresAt } }
    },
    secretsOf: (keyId) =>
      secretTable.all((query) => {
        const narrowed = query.where({ key_id: keyId }).orderBy('hash')
        // A plain read in MySQL may show secrets that were ended since the transaction began, and they would be kept.
        return dialectOf(db) === 'sqlite' ? narrowed : narrowed.forUpdate()
      }),
    async setSecrets(keyId, rows) {
      await secretTable.remove({ keyId })
      await secretTable.insert([...rows])
    },
    async used(uses) {
      for (const { id, at } of uses) {
        await table.update(
          (query) =>
            query
              .where({ id })
              .andWhere((earlier) => earlier.whereNull('last_used_at').orWhere('last_used_at', '<', at)),
          { lastUsedAt: at },
        )
      }
    },
  }
}
