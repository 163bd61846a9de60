/** Storage over the host's own Knex instance: SQLite, PostgreSQL, MySQL 8 and MariaDB 10.6+. */
import { checkPrefix, knexIdempotency, knexUnitOfWork } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix } from '../../migrations/index.js'
import type { WebhooksStorage } from '../port.js'
import { knexDeliveries } from './deliveries.js'
import { knexEndpoints } from './endpoints.js'
import { knexJobs } from './jobs.js'
import { knexMessages } from './messages.js'
import { knexRetention } from './retention.js'
import { knexStats } from './stats.js'

export interface KnexStorageOptions {
  /** Goes before every table name; `webhooks_` unless told. The same one must be given to `migrate`. */
  prefix?: string
}

/** @throws ProblemError `setup_error` for a database that is not supported or a prefix that cannot be one. */
export function knexStorage(knex: Knex, options: KnexStorageOptions = {}): WebhooksStorage {
  const { prefix = defaultPrefix } = options
  checkPrefix(prefix)
  return knexUnitOfWork(knex, {
    prefix,
    migrateFrom: '@org/webhooks/knex',
    bind: (db) => ({
      endpoints: knexEndpoints(db, prefix),
      messages: knexMessages(db, prefix),
      deliveries: knexDeliveries(db, prefix),
      jobs: knexJobs(db, prefix),
      stats: knexStats(db, prefix),
      retention: knexRetention(db, prefix),
      idempotency: knexIdempotency(db, prefix),
    }),
  })
}
