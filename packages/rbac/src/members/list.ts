/** The team as a list: members, and on request those who have been asked to join. */
import { checkScope, type Page, paginate, parse, type Scope } from '@org/core'
import type { Assignment } from '../assignments/schema.js'
import type { Deps } from '../deps.js'
import { inviteOf } from '../invites/invite.js'
import { unexpired } from '../permissions/authority.js'
import { type InvitedMember, type Member, MemberQuery, type MemberStatus, type MemberWithRoles } from './schema.js'

/** Those who are invited are no members: they are listed only when asked for. */
export interface ListMembers {
  (scope: Scope, query: MemberQuery & { status: 'invited' }): Promise<Page<InvitedMember>>
  (scope: Scope, query?: MemberQuery & { status?: MemberStatus | undefined }): Promise<Page<MemberWithRoles>>
  (scope: Scope, query?: MemberQuery): Promise<Page<MemberWithRoles | InvitedMember>>
}

export function createListMembers({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>): ListMembers {
  const { clock } = runtime
  type Slices = { limit?: number | undefined; cursor?: string | undefined }

  const listMembers = ({ tenantId, tx }: Scope, page: Slices, status: MemberStatus | undefined) =>
    storage.read(async (stores): Promise<Page<MemberWithRoles>> => {
      const found = await paginate(
        page,
        ['string'],
        (slice) => stores.members.list(tenantId, { status }, slice),
        (last) => [last.id],
      )
      const ids = found.data.map(({ userId }) => userId)
      const assignments = ids.length > 0 ? await stores.assignments.ofUsers(tenantId, ids) : []
      return { ...found, data: found.data.map((member) => withRoles(member, assignments, clock.now())) }
    }, tx)

  const listInvited = ({ tenantId, tx }: Scope, page: Slices) =>
    storage.read(async ({ invites }): Promise<Page<InvitedMember>> => {
      const now = clock.now()
      const found = await paginate(
        page,
        ['string'],
        (slice) => invites.list(tenantId, { status: 'pending', kind: 'email', now }, slice),
        (last) => [last.id],
      )
      const data = found.data.map((stored) => {
        const { id, email, roles, createdAt } = inviteOf(stored, now)
        const invited = { userId: null, email: email ?? '', status: 'invited' as const }
        return { inviteId: id, tenantId, ...invited, roles, createdAt }
      })
      return { ...found, data }
    }, tx)

  async function list(scope: Scope, query: MemberQuery = {}): Promise<Page<MemberWithRoles | InvitedMember>> {
    checkScope(scope)
    const { status, ...page } = parse(MemberQuery, query)
    return status === 'invited' ? listInvited(scope, page) : listMembers(scope, page, status)
  }
  // The overloads say which of the two it answers, by the status that is asked for.
  return list as ListMembers
}

/** A member with the roles that count at a moment; those over one thing are left to the assignments. */
export function withRoles(member: Member, assignments: readonly Assignment[], now: number): MemberWithRoles {
  const own = unexpired(assignments, now).filter(({ userId, on }) => userId === member.userId && on === null)
  return { ...member, roles: [...new Set(own.map(({ role }) => role))] }
}
