import { dialectOf, integer, KnexTable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Member } from '../../members/schema.js'
import type { MemberStore } from '../../members/store.js'

/** How many ids one query names; databases limit how many values it may have. */
const chunk = 1000

export function knexMembers(db: Knex, prefix: string): MemberStore {
  const table = new KnexTable<Member>(db, `${prefix}members`, {
    id: text,
    tenantId: text,
    userId: text,
    status: oneOf(),
    createdAt: integer,
  })
  return {
    insertOrFind: (member) => table.insertOrFind(member, ['tenantId', 'userId']),
    find: (tenantId, userId, { lock = false } = {}) =>
      lock ? table.lock({ tenantId, userId }) : table.find({ tenantId, userId }),
    any: async (tenantId, { lock = false } = {}) =>
      (await (lock ? table.lock({ tenantId }) : table.find({ tenantId }))) !== null,
    setStatus: async (tenantId, userId, status) => void (await table.update({ tenantId, userId }, { status })),
    remove: async (tenantId, userId) => void (await table.remove({ tenantId, userId })),
    removeAll: async (tenantId) => void (await table.remove({ tenantId })),
    async suspended(tenantId, userIds, { lock = false } = {}) {
      const found: string[] = []
      for (let start = 0; start < userIds.length; start += chunk) {
        const some = await table.all((query) => {
          query.where(table.encode({ tenantId, status: 'suspended' }))
          query.whereIn('user_id', userIds.slice(start, start + chunk))
          return lock && dialectOf(db) !== 'sqlite' ? query.forUpdate() : query
        })
        found.push(...some.map(({ userId }) => userId))
      }
      return found
    },
    list: (tenantId, { status }, slice) =>
      table.newestFirst({ tenantId, ...(status !== undefined && { status }) }, slice),
    ofUser: (userId, slice) => table.newestFirst({ userId }, slice),
  }
}
