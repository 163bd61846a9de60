/** Storage over the host's own Knex instance: SQLite, PostgreSQL, MySQL 8 and MariaDB 10.6+. */
import { checkPrefix, knexIdempotency, knexUnitOfWork } from '@org/core/knex'
import type { Knex } from 'knex'
import { defaultPrefix } from '../../migrations/index.js'
import type { RbacStorage } from '../port.js'
import { knexAssignments } from './assignments.js'
import { knexAudit } from './audit.js'
import { knexAuditChain } from './audit-chain.js'
import { knexInvites } from './invites.js'
import { knexKeys } from './keys.js'
import { knexMembers } from './members.js'
import { knexPolicies } from './policies.js'
import { knexTenants } from './tenants.js'

export interface KnexStorageOptions {
  /** Goes before every table name; `rbac_` unless told. The same one must be given to `migrate`. */
  prefix?: string
}

/**
 * Run `migrate(knex)` first.
 *
 * @throws ProblemError `setup_error` for a database that is not supported or a prefix that cannot be one.
 */
export function knexStorage(knex: Knex, { prefix = defaultPrefix }: KnexStorageOptions = {}): RbacStorage {
  checkPrefix(prefix)
  return knexUnitOfWork(knex, {
    prefix,
    migrateFrom: '@org/rbac/knex',
    // Made when they are asked for: most transactions need one or two of them, and making them all costs as much as an insert.
    bind: (db) => ({
      get tenants() {
        return knexTenants(db, prefix)
      },
      get members() {
        return knexMembers(db, prefix)
      },
      get assignments() {
        return knexAssignments(db, prefix)
      },
      get invites() {
        return knexInvites(db, prefix)
      },
      get policies() {
        return knexPolicies(db, prefix)
      },
      get keys() {
        return knexKeys(db, prefix)
      },
      get audit() {
        return knexAudit(db, prefix)
      },
      get auditChain() {
        return knexAuditChain(db, prefix)
      },
      get idempotency() {
        return knexIdempotency(db, prefix)
      },
    }),
  })
}
