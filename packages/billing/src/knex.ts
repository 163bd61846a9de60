/** `@org/billing/knex`: storage and tables in the host's own database. */
import { applyMigrations, type MigrateOptions } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix, migrations } from './migrations/index.js'

export type { MigrateOptions, Migration } from '@org/core/knex'
export { type KnexStorageOptions, knexStorage } from './storage/knex/index.js'
export { migrations }

/**
 * Makes or brings up to date the `billing_` tables and answers the names of the steps it took. Safe to call at every
 * start, from several processes at once.
 *
 * @throws ProblemError `setup_error` for a prefix that cannot be part of a table name.
 */
export function migrate(knex: Knex, { prefix = defaultPrefix }: MigrateOptions = {}): Promise<string[]> {
  return applyMigrations(knex, migrations, prefix)
}
