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
    bind: (db) => ({
      tenants: knexTenants(db, prefix),
      members: knexMembers(db, prefix),
      assignments: knexAssignments(db, prefix),
      invites: knexInvites(db, prefix),
      policies: knexPolicies(db, prefix),
      keys: knexKeys(db, prefix),
      audit: knexAudit(db, prefix),
      auditChain: knexAuditChain(db, prefix),
      idempotency: knexIdempotency(db, prefix),
    }),
  })
}
