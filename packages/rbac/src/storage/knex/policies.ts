import { dialectOf, integer, json, KnexTable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Policy } from '../../policies/schema.js'
import type { PolicyStore } from '../../policies/store.js'

type PolicyRow = Omit<Policy, 'author'> & { authorType: Policy['author']['type']; authorId: string }

export function knexPolicies(db: Knex, prefix: string): PolicyStore {
  const table = new KnexTable<PolicyRow>(db, `${prefix}policies`, {
    tenantId: text,
    version: integer,
    roles: json(),
    authorType: oneOf(),
    authorId: text,
    createdAt: integer,
  })
  return {
    async current(tenantId, { lock = false } = {}) {
      const found = await table.find((query) => {
        query.where('tenant_id', tenantId).orderBy('version', 'desc')
        return lock && dialectOf(db) !== 'sqlite' ? query.forUpdate() : query
      })
      return found && policyOf(found)
    },
  }
}

function policyOf({ authorType, authorId, ...row }: PolicyRow): Policy {
  return { ...row, author: { type: authorType, id: authorId } }
}
