import { idempotencyMigration, type Migration } from '@org/core/knex'
import { endpoints } from './0001-endpoints.js'
import { messages } from './0002-messages.js'
import { deliveries } from './0003-deliveries.js'
import { attempts } from './0004-attempts.js'
import { health } from './0005-health.js'
import { jobs } from './0006-jobs.js'
import { stats } from './0007-stats.js'

/** Goes before every table name unless the host says otherwise. */
export const defaultPrefix = 'webhooks_'

/** The steps in order, to look at; `migrate` applies them. Released ones never change; new ones go to the end. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  endpoints,
  messages,
  deliveries,
  attempts,
  health,
  jobs,
  stats,
]
