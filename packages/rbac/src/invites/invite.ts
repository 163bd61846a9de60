/** What a stored invite is at a moment, and what it is worth. */
import { type Actor, type DomainEvent, isProblem, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { statusOf as statusOfKey } from '../keys/schema.js'
import { rulesOfRoles } from '../permissions/ceiling.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import { type Invite, type InviteStatus, InviteView, type StoredInvite } from './schema.js'

export function statusOf({ state, expiresAt }: StoredInvite, now: number): InviteStatus {
  if (state !== 'open') return state
  return expiresAt > now ? 'pending' : 'expired'
}

/** Without its hash: what callers see. */
export function inviteOf(stored: StoredInvite, now: number): Invite {
  const { address: _address, tokenHash: _tokenHash, state: _state, roles, ...invite } = stored
  return { ...invite, roles: roles.map(({ key }) => key), status: statusOf(stored, now) }
}

/** What its events say. The address is left to `before` and `after`, which webhooks do not carry. */
export function aboutInvite({ id, kind }: Pick<StoredInvite, 'id' | 'kind'>) {
  return { resource: { type: 'invite', id }, data: { inviteId: id, kind } } satisfies Partial<DomainEvent>
}

export function viewOf(stored: StoredInvite, now: number): Record<string, unknown> {
  return InviteView.parse(inviteOf(stored, now))
}

/**
 * The roles of an invite, if whoever stands behind it could hand them out at this moment.
 *
 * @throws ProblemError `invite_void` if a role is gone, or if the inviter is gone, suspended or holds less than the roles.
 */
export async function rolesWorth(
  { ceiling, roles: predefined }: Pick<Deps, 'ceiling' | 'roles'>,
  stores: RbacStores,
  { tenantId, roles, invitedBy }: StoredInvite,
  now: number,
): Promise<Role[]> {
  const book = predefined.with(await stores.policies.current(tenantId, { lock: true }))
  const found = roles.map(({ id }) => book.byId(id)).filter((role) => role !== null)
  if (found.length < roles.length) throw voided('A role that this invite gives is no longer there.')
  const scope: Scope = { tenantId, actor: invitedBy }
  // A role may be without rights, which nobody lacks: a member who is gone cannot let anybody in all the same.
  const inviterId = await whoStandsBehind(stores, tenantId, invitedBy, now)
  if (inviterId !== null) {
    const inviter = await stores.members.find(tenantId, inviterId, { lock: true })
    if (inviter?.status !== 'active') throw voided('Whoever made this invite is no longer on the team.')
  }
  try {
    await ceiling.require(scope, stores, rulesOfRoles(book, found), 'The invite')
  } catch (error) {
    if (!isProblem(error) || error.code !== rbacErrors.exceeds_own_rights.code) throw error
    throw voided('Whoever made this invite may no longer give what it gives.')
  }
  return found
}

/** The member that an invite stands on, if by a key of theirs; null for the host's own code. */
async function whoStandsBehind(stores: RbacStores, tenantId: string, invitedBy: Actor, now: number) {
  if (invitedBy.type !== 'key') return invitedBy.type === 'user' ? invitedBy.id : null
  const key = await stores.keys.find(tenantId, invitedBy.id, { lock: true })
  if (!key || statusOfKey(key, now) !== 'active') throw voided('The API key that made this invite has ended.')
  return key.userId
}

function voided(why: string) {
  return rbacErrors.invite_void({ detail: `${why} Ask for a new one.` })
}

/** The roles that are to be given, by their keys. @throws ProblemError `invalid_input` at `/roles/<i>`. */
export function wantedRoles(book: RoleBook, keys: readonly string[]): Role[] {
  return [...new Set(keys.map((key, i) => book.known(key, `/roles/${i}`)))]
}
