/** @org/rbac over the host's own Knex instance. */
import { applyMigrations, idempotencyMigration, type MigrateOptions, type Migration } from '@org/core/knex'
import type { Knex } from 'knex'
import { tenants } from './migrations/0001-tenants.js'
import { assignments } from './migrations/0002-assignments.js'
import { auditEntries } from './migrations/0003-audit-entries.js'

export { type KnexStorageOptions, knexStorage } from './storage/knex.js'

/** Every step in order. {@link migrate} applies them; a host may list them among its own migrations instead. */
export const migrations: readonly Migration[] = [idempotencyMigration, tenants, assignments, auditEntries]

/**
 * Makes or updates the tables, and returns the names of the steps applied. Safe when several processes start at once.
 *
 * @throws ProblemError `setup_error` if the prefix cannot be part of a table name.
 */
export function migrate(knex: Knex, { prefix = 'rbac_' }: MigrateOptions = {}): Promise<string[]> {
  return applyMigrations(knex, migrations, prefix)
}
