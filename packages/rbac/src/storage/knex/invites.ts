import type { Actor } from '@org/core'
import { dialectOf, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { StoredInvite } from '../../invites/schema.js'
import type { InviteFilter, InvitePatch, InviteStore } from '../../invites/store.js'

type InviteRow = Omit<StoredInvite, 'invitedBy'> & { inviterType: Actor['type']; inviterId: string }

export function knexInvites(db: Knex, prefix: string): InviteStore {
  const table = new KnexTable<InviteRow>(db, `${prefix}invites`, {
    id: text,
    tenantId: text,
    kind: oneOf(),
    state: oneOf(),
    email: nullable(text),
    address: nullable(text),
    domains: json(),
    maxUses: nullable(integer),
    uses: integer,
    roles: json(),
    inviterType: oneOf(),
    inviterId: text,
    tokenHash: text,
    sentAt: nullable(integer),
    sendError: nullable(text),
    expiresAt: integer,
    createdAt: integer,
  })
  /** A plain read in MySQL shows the past that the transaction began with; a locking read shows what is. */
  const locked = (query: Knex.QueryBuilder) => (dialectOf(db) === 'sqlite' ? query : query.forUpdate())
  return {
    insert: (invite) => table.insert(rowOf(invite)),
    async find(tenantId, id, { lock = false } = {}) {
      const found = lock ? await table.lock({ tenantId, id }) : await table.find({ tenantId, id })
      return found && inviteOf(found)
    },
    async findByHash(tokenHash) {
      const found = await table.find({ tokenHash })
      return found && inviteOf(found)
    },
    update: async (tenantId, id, patch) => void (await table.update({ tenantId, id }, patchOf(patch))),
    removeAll: async (tenantId) => void (await table.remove({ tenantId })),
    setSent: async (id, tokenHash, sent) => void (await table.update({ id, tokenHash }, sent)),
    async pendingTo(tenantId, address, now) {
      const found = await table.find((query) => locked(narrow(query.where({ address }), tenantId, now)))
      return found && inviteOf(found)
    },
    async list(tenantId, filter, slice) {
      const rows = await table.newestFirst((query) => filtered(query.where({ tenant_id: tenantId }), filter), slice)
      return rows.map(inviteOf)
    },
    async pendingWithRoles(tenantId, roleIds, now) {
      const rows = await table.all((query) => locked(narrow(query, tenantId, now)).orderBy('id'))
      return rows.map(inviteOf).filter(({ roles }) => roles.some(({ id }) => roleIds.includes(id)))
    },
  }
}

function narrow(query: Knex.QueryBuilder, tenantId: string, now: number): Knex.QueryBuilder {
  return query.where({ tenant_id: tenantId, state: 'open' }).where('expires_at', '>', now)
}

function filtered(query: Knex.QueryBuilder, { status, kind, now }: InviteFilter): Knex.QueryBuilder {
  if (kind !== undefined) query.where({ kind })
  if (status === undefined) return query
  if (status === 'accepted' || status === 'revoked') return query.where({ state: status })
  return query.where({ state: 'open' }).where('expires_at', status === 'pending' ? '>' : '<=', now)
}

function rowOf({ invitedBy, ...invite }: StoredInvite): InviteRow {
  return { ...invite, inviterType: invitedBy.type, inviterId: invitedBy.id }
}

function patchOf({ invitedBy, ...patch }: InvitePatch): Partial<InviteRow> {
  return { ...patch, ...(invitedBy && { inviterType: invitedBy.type, inviterId: invitedBy.id }) }
}

function inviteOf({ inviterType, inviterId, ...row }: InviteRow): StoredInvite {
  return { ...row, invitedBy: { type: inviterType, id: inviterId } }
}
