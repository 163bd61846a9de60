/** Storage over the host's own Knex instance: SQLite, PostgreSQL, MySQL 8 and MariaDB 10.6+. */
import { checkPrefix, databaseNow, knexIdempotency, knexUnitOfWork, postgresChannel } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix } from '../../migrations/index.js'
import { announcing } from '../../wake-ups/announcing.js'
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
  /**
   * Whether workers of other processes are told at once of what was made due, by PostgreSQL's LISTEN and NOTIFY: on the
   * channel `webhooks_due` unless told. Each worker then listens on one connection beside the pool.
   */
  notify?: boolean | { channel?: string }
}

/**
 * @throws ProblemError `setup_error` for a database that is not supported, a prefix that cannot be one, and `notify` on
 *   anything but PostgreSQL.
 */
export function knexStorage(knex: Knex, options: KnexStorageOptions = {}): WebhooksStorage {
  const { prefix = defaultPrefix, notify = false } = options
  checkPrefix(prefix)
  const unitOfWork = knexUnitOfWork(knex, {
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
  const storage: WebhooksStorage = { ...unitOfWork, now: () => databaseNow(knex) }
  if (notify === false) return storage
  const { channel = 'webhooks_due' } = notify === true ? {} : notify
  return announcing(storage, postgresChannel(knex, channel, '`notify` of knexStorage'))
}
