/** @org/rbac over the host's own Knex instance. */
import { applyMigrations, type MigrateOptions } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix, migrations } from './migrations/index.js'

export type { MigrateOptions, Migration } from '@org/core/knex'
export { type AccessibleByOptions, accessibleBy } from './accessible-by/accessible-by.js'
export type { ColumnType } from './accessible-by/comparisons.js'
export { type PostgresBusOptions, postgresBus } from './cache/postgres.js'
export { type KnexStorageOptions, knexStorage } from './storage/knex/index.js'
export { migrations }

/**
 * Makes or updates the tables, and returns the names of the steps applied. Safe when several processes start at once.
 *
 * @throws ProblemError `setup_error` if the prefix cannot be part of a table name.
 */
export function migrate(knex: Knex, { prefix = defaultPrefix }: MigrateOptions = {}): Promise<string[]> {
  return applyMigrations(knex, migrations, prefix)
}
