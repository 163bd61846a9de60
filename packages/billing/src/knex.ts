/** `@org/billing/knex`: storage and tables in the host's own database. */
import { applyMigrations, idempotencyMigration, type MigrateOptions, type Migration } from '@org/core/knex'
import type { Knex } from 'knex'
import { init } from './migrations/0001-init.js'

export { type KnexStorageOptions, knexStorage } from './storage/knex.js'

/** Every step, in order, for hosts that list them in their own Knex migrations. */
export const migrations: readonly Migration[] = [idempotencyMigration, ...init]

/**
 * Makes or brings up to date the `billing_` tables and answers the names of the steps it took. Safe to call at every
 * start, from several processes at once.
 *
 * @throws ProblemError `setup_error` for a prefix that cannot be part of a table name.
 */
export function migrate(knex: Knex, { prefix = 'billing_' }: MigrateOptions = {}): Promise<string[]> {
  return applyMigrations(knex, migrations, prefix)
}
