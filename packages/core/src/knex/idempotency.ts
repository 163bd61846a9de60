import type { Knex } from 'knex'
import type { IdempotencyRecord, IdempotencyStore, StoredResponse } from '../idempotency.js'
import { integer, json, KnexTable, nullable, text } from './table.js'

/** Idempotency keys in `<prefix>idempotency_keys`; the table comes from {@link idempotencyMigration}. */
export function knexIdempotency(db: Knex, prefix: string): IdempotencyStore {
  const table = new KnexTable<IdempotencyRecord>(db, `${prefix}idempotency_keys`, {
    id: text,
    fingerprint: text,
    response: nullable(json<StoredResponse>()),
    expiresAt: integer,
  })
  return {
    claim: async (record) => ((await table.insertUnlessExists(record, ['id'])) ? null : table.lock({ id: record.id })),
    complete: async (id, response) => void (await table.update({ id }, { response })),
    purge: async (now) => void (await table.remove((rows) => rows.where('expires_at', '<=', now))),
  }
}
