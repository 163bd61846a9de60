import type { Knex } from 'knex'
import type { IdempotencyRecord, IdempotencyStore, StoredResponse } from '../idempotency.js'
import { integer, json, nullable, text } from './columns.js'
import { dialectOf } from './dialect.js'
import { KnexTable } from './table.js'

/** Idempotency keys in `<prefix>idempotency_keys`; the table comes from {@link idempotencyMigration}. */
export function knexIdempotency(db: Knex, prefix: string): IdempotencyStore {
  const table = new KnexTable<IdempotencyRecord>(db, `${prefix}idempotency_keys`, {
    id: text,
    fingerprint: text,
    response: nullable(json<StoredResponse>()),
    expiresAt: integer,
  })
  return {
    async claim(record, now) {
      const found = await table.insertOrFind(record, ['id'])
      if (!found || found.expiresAt > now) return found
      await table.update({ id: record.id }, record)
      return null
    },
    complete: async (id, response) => void (await table.update({ id }, { response })),
    async purge(now, limit) {
      const expired = await table.all((query) => {
        query.where('expires_at', '<=', now).limit(limit)
        // Whoever else purges takes others; nobody waits.
        return dialectOf(db) === 'sqlite' ? query : query.forUpdate().skipLocked()
      })
      const ids = expired.map(({ id }) => id)
      if (ids.length > 0) await table.remove((query) => query.whereIn('id', ids))
    },
  }
}
