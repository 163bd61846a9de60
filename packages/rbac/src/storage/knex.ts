import { dialectOf, integer, KnexTable, knexIdempotency, knexUnitOfWork, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Assignment } from '../assignments/schema.js'
import type { AssignmentStore, ReadOptions } from '../assignments/store.js'
import type { TenantStore } from '../tenants/store.js'
import { knexAudit } from './knex-audit.js'
import type { RbacStorage } from './port.js'

export interface KnexStorageOptions {
  /** Before every table name; `rbac_` unless told. The same that `migrate` was given. */
  prefix?: string
}

/** Over the host's own Knex instance: SQLite, PostgreSQL, MySQL 8 and MariaDB 10.6+. Run `migrate(knex)` first. */
export function knexStorage(knex: Knex, { prefix = 'rbac_' }: KnexStorageOptions = {}): RbacStorage {
  return knexUnitOfWork(knex, {
    prefix,
    migrateFrom: '@org/rbac/knex',
    bind: (db) => ({
      tenants: knexTenants(db, prefix),
      assignments: knexAssignments(db, prefix),
      audit: knexAudit(db, prefix),
      idempotency: knexIdempotency(db, prefix),
    }),
  })
}

function knexTenants(db: Knex, prefix: string): TenantStore {
  const table = new KnexTable<{ id: string }>(db, `${prefix}tenants`, { id: text })
  return {
    async lock(id) {
      // Written to, not only locked: PostgreSQL then refuses (40001) a `repeatable read` transaction that began before
      // somebody else's change and would decide by what it saw. One statement: in MySQL, those who first find the row
      // taken and then lock it wait for each other.
      await table.query().insert(table.encode({ id })).onConflict('id').merge()
    },
  }
}

function knexAssignments(db: Knex, prefix: string): AssignmentStore {
  const table = new KnexTable<Assignment>(db, `${prefix}assignments`, {
    id: text,
    tenantId: text,
    userId: text,
    role: text,
    createdAt: integer,
  })
  // A plain read in MySQL shows the past that the transaction began with; a locking read shows what is.
  const read = (query: Knex.QueryBuilder, { lock = false }: ReadOptions = {}) =>
    (lock && dialectOf(db) !== 'sqlite' ? query.forUpdate() : query).orderBy('id')
  return {
    add: (assignment) => table.insertUnlessExists(assignment, ['tenantId', 'userId', 'role']),
    remove: async (id) => (await table.remove({ id })) > 0,
    lock: (tenantId, userId, role) => table.lock({ tenantId, userId, role }),
    ofUser: (tenantId, userId, options) =>
      table.all((query) => read(query.where(table.encode({ tenantId, userId })), options)),
    ofRoles: (tenantId, roles, options) =>
      table.all((query) => read(query.where(table.encode({ tenantId })).whereIn('role', roles), options)),
    list: (tenantId, { userId, role }, slice) =>
      table.newestFirst((query) => query.where(table.encode({ tenantId, ...given({ userId, role }) })), slice),
  }
}

function given(filter: { userId: string | undefined; role: string | undefined }): Partial<Assignment> {
  const { userId, role } = filter
  return { ...(userId !== undefined && { userId }), ...(role !== undefined && { role }) }
}
