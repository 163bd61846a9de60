import type { Actor } from '@org/core'
import { dialectOf, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { ReadOptions } from '../../assignments/store.js'
import type { Policy, PolicyDraft, PolicySummary } from '../../policies/schema.js'
import type { PolicyStore } from '../../policies/store.js'

/** An author side by side. */
type Flat<Row extends { author: Actor }> = Omit<Row, 'author'> & { authorType: Actor['type']; authorId: string }

export function knexPolicies(db: Knex, prefix: string): PolicyStore {
  const name = `${prefix}policies`
  // What a check reads is not the whole row.
  const roles = new KnexTable<Pick<Policy, 'version' | 'roles'>>(db, name, { version: integer, roles: json() })
  const summary = {
    ...{ tenantId: text, version: integer, kind: oneOf<Policy['kind']>(), basedOn: integer, note: nullable(text) },
    ...{ authorType: oneOf<Actor['type']>(), authorId: text, createdAt: integer },
  }
  const summaries = new KnexTable<Flat<PolicySummary>>(db, name, summary)
  const table = new KnexTable<Flat<Policy>>(db, name, { ...summary, roles: json(), tests: json() })
  const drafts = new KnexTable<Flat<PolicyDraft>>(db, `${prefix}policy_drafts`, {
    ...{ tenantId: text, document: json(), basedOn: integer, etag: text },
    ...{ authorType: oneOf<Actor['type']>(), authorId: text, updatedAt: integer },
  })

  const newest =
    (tenantId: string, { lock = false }: ReadOptions = {}) =>
    (query: Knex.QueryBuilder) => {
      query.where('tenant_id', tenantId).orderBy('version', 'desc')
      return lock && dialectOf(db) !== 'sqlite' ? query.forUpdate() : query
    }
  const theOne = (tenantId: string, etag: string | null) => ({ tenantId, ...(etag !== null && { etag }) })

  return {
    current: (tenantId, options) => roles.find(newest(tenantId, options)),
    async latest(tenantId, options) {
      const found = await table.find(newest(tenantId, options))
      return found && nested(found)
    },
    async find(tenantId, version) {
      const found = await table.find({ tenantId, version })
      return found && nested(found)
    },
    async list(tenantId, { limit, after }) {
      const found = await summaries.all((query) => {
        query.where('tenant_id', tenantId)
        if (after) query.where('version', '<', after[0])
        return query.orderBy('version', 'desc').limit(limit)
      })
      return found.map(nested)
    },
    insert: (policy) => table.insert(flat(policy)),
    removeBefore: async (tenantId, version) =>
      void (await table.remove((query) => query.where('tenant_id', tenantId).where('version', '<', version))),

    async draft(tenantId, { lock = false } = {}) {
      const found = await (lock ? drafts.lock({ tenantId }) : drafts.find({ tenantId }))
      return found && nested(found)
    },
    addDraft: (draft) => drafts.insertUnlessExists(flat(draft), ['tenantId']),
    async changeDraft(tenantId, etag, { author, ...patch }) {
      const by = author && { authorType: author.type, authorId: author.id }
      return (await drafts.update(theOne(tenantId, etag), { ...patch, ...by })) > 0
    },
    removeDraft: async (tenantId, etag) => (await drafts.remove(theOne(tenantId, etag))) > 0,
  }
}

function flat<Row extends { author: Actor }>({ author, ...row }: Row) {
  return { ...row, authorType: author.type, authorId: author.id }
}

function nested<Row extends { authorType: Actor['type']; authorId: string }>({ authorType, authorId, ...row }: Row) {
  return { ...row, author: { type: authorType, id: authorId } }
}
