import { dialectOf, integer, KnexTable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Assignment } from '../../assignments/schema.js'
import type { AssignmentFilter, AssignmentStore, ReadOptions } from '../../assignments/store.js'

export function knexAssignments(db: Knex, prefix: string): AssignmentStore {
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
    insertOrFind: (assignment) => table.insertOrFind(assignment, ['tenantId', 'userId', 'role']),
    remove: async (id) => void (await table.remove({ id })),
    lock: (tenantId, userId, role) => table.lock({ tenantId, userId, role }),
    ofUser: (tenantId, userId, options) =>
      table.all((query) => read(query.where(table.encode({ tenantId, userId })), options)),
    ofRoles: (tenantId, roles, options) =>
      table.all((query) => read(query.where(table.encode({ tenantId })).whereIn('role', roles), options)),
    list: (tenantId, filter, slice) =>
      table.newestFirst((query) => query.where(table.encode({ tenantId, ...given(filter) })), slice),
  }
}

function given({ userId, role }: AssignmentFilter): Partial<Assignment> {
  return { ...(userId !== undefined && { userId }), ...(role !== undefined && { role }) }
}
