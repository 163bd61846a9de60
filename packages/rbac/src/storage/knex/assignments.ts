import { dialectOf, integer, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Assignment } from '../../assignments/schema.js'
import type { AssignmentFilter, AssignmentStore, ReadOptions } from '../../assignments/store.js'

/** An assignment with its pair side by side; empty text stands for none. */
type AssignmentRow = Omit<Assignment, 'on'> & { onResource: string; onId: string }

export function knexAssignments(db: Knex, prefix: string): AssignmentStore {
  const table = new KnexTable<AssignmentRow>(db, `${prefix}assignments`, {
    id: text,
    tenantId: text,
    userId: text,
    role: text,
    roleId: text,
    onResource: text,
    onId: text,
    expiresAt: nullable(integer),
    createdAt: integer,
  })
  // A plain read in MySQL shows the past that the transaction began with; a locking read shows what is.
  const read = async (narrow: (query: Knex.QueryBuilder) => Knex.QueryBuilder, { lock = false }: ReadOptions = {}) => {
    const rows = await table.all((query) => {
      const narrowed = narrow(query)
      return (lock && dialectOf(db) !== 'sqlite' ? narrowed.forUpdate() : narrowed).orderBy('id')
    })
    return rows.map(assignmentOf)
  }
  return {
    async insertOrFind(assignment) {
      const key = ['tenantId', 'userId', 'roleId', 'onResource', 'onId'] as const
      const found = await table.insertOrFind(rowOf(assignment), [...key])
      return found && assignmentOf(found)
    },
    setExpiry: async (id, expiresAt) => void (await table.update({ id }, { expiresAt })),
    remove: async (id) => void (await table.remove({ id })),
    removeAll: async (tenantId) => void (await table.remove({ tenantId })),
    ofUser: (tenantId, userId, options) => read((query) => query.where(table.encode({ tenantId, userId })), options),
    ofUsers: (tenantId, userIds) =>
      read((query) => query.where(table.encode({ tenantId })).whereIn('user_id', userIds)),
    inTenants: (userId, tenantIds) =>
      read((query) => query.where(table.encode({ userId })).whereIn('tenant_id', tenantIds)),
    ofRoles: (tenantId, roleIds, options) =>
      read((query) => query.where(table.encode({ tenantId })).whereIn('role_id', roleIds), options),
    list: async (tenantId, filter, slice) =>
      (await table.newestFirst({ tenantId, ...given(filter) }, slice)).map(assignmentOf),
  }
}

function given({ userId, role }: AssignmentFilter): Partial<AssignmentRow> {
  return { ...(userId !== undefined && { userId }), ...(role !== undefined && { role }) }
}

function rowOf({ on, ...assignment }: Assignment): AssignmentRow {
  return { ...assignment, onResource: on?.resource ?? '', onId: on?.id ?? '' }
}

function assignmentOf({ onResource, onId, ...row }: AssignmentRow): Assignment {
  return { ...row, on: onResource === '' ? null : { resource: onResource, id: onId } }
}
