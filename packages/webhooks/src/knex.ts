/** Storage in the host's own database, and the migrations that make its tables. */
import { applyMigrations, type MigrateOptions } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix, migrations } from './migrations/index.js'

export type { MigrateOptions, Migration } from '@org/core/knex'
export { knexStorage } from './storage/knex/index.js'
export { migrations }

/**
 * Makes or completes this module's tables, and returns the names of the steps that it applied. Call it when you deploy
 * or before you start; processes that call it together take turns.
 *
 * @throws ProblemError `setup_error` for a prefix that cannot be one.
 */
export function migrate(knex: Knex, options: MigrateOptions = {}): Promise<string[]> {
  return applyMigrations(knex, migrations, options.prefix ?? defaultPrefix)
}
