/** From a token to a member. */
import { coreErrors, type Emit, parse, type RequestInfo, type Tx } from '@org/core'
import type { AssignmentWriter } from '../assignments/service.js'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { rbacEvents } from '../events.js'
import { type Member, MemberView } from '../members/schema.js'
import type { RbacStores } from '../storage/port.js'
import type { Membership } from '../tenants/schema.js'
import { addressOf } from './email.js'
import { aboutInvite, rolesWorth, statusOf, viewOf } from './invite.js'
import type { InviteOptions } from './options.js'
import { AcceptInvite, type StoredInvite } from './schema.js'
import { hashOf } from './token.js'

type Accept = (input: AcceptInvite, options?: RequestInfo & { tx?: Tx | undefined }) => Promise<Membership>

export function createAccept(deps: Deps, writer: AssignmentWriter, options: InviteOptions): Accept {
  const { storage, runtime, emit, change } = deps
  const { clock } = runtime

  const addressesOf = async (userId: string, given: readonly string[] | undefined, tx: Tx | undefined) => {
    if (given) return given
    if (options.verifiedEmails) return options.verifiedEmails(userId, { tx })
    const told = 'createRbac({ invites: { verifiedEmails: async (userId) => […] } })'
    throw coreErrors.setup_error({
      detail: `Only a verified address may accept this invite: pass ${told}, or \`verifiedEmails\` to accept.`,
    })
  }

  return async (input, { tx, ip, userAgent, requestId } = {}) => {
    const { token, userId, verifiedEmails } = parse(AcceptInvite, input)
    const tokenHash = hashOf(token)
    const offered = await storage.read(({ invites }) => invites.findByHash(tokenHash), tx)
    if (!offered || statusOf(offered, clock.now()) !== 'pending') throw unknownInvite()
    // Asked before the transaction: it may be a call to the host's identity provider.
    if (offered.address !== null || offered.domains.length > 0) {
      checkAddresses(offered, await addressesOf(userId, verifiedEmails, tx))
    }

    const { tenantId } = offered
    const scope = { tenantId, actor: { type: 'user' as const, id: userId }, tx, ip, userAgent, requestId }
    return change(scope, async (stores, own) => {
      const now = clock.now()
      const invite = await stores.invites.find(tenantId, offered.id, { lock: true })
      // It may have been sent again, used up or revoked since.
      if (invite?.tokenHash !== tokenHash || statusOf(invite, now) !== 'pending') throw unknownInvite()
      const member: Member = { id: runtime.id('mem'), tenantId, userId, status: 'active', createdAt: now }
      if (await stores.members.insertOrFind(member)) {
        throw rbacErrors.already_member({ detail: 'You are on this team already; the invite stays as it is.' })
      }
      const roles = await rolesWorth(deps, stores, invite, now)
      await use(stores, invite, scope, own, now)
      const keys = roles.map(({ key }) => key)
      const after = MemberView.parse({ ...member, roles: keys })
      const joined = { resource: { type: 'member', id: userId }, data: { userId }, after }
      await emit(scope, { type: 'member.added', ...joined }, own)
      for (const { id, key } of roles) {
        const draft = { userId, role: key, roleId: id, on: null, expiresAt: null, createdAt: now }
        await writer.add(scope, stores, own, draft)
      }
      const name = (await stores.tenants.find(tenantId))?.name ?? null
      return { tenantId, name, status: member.status, roles: keys }
    })
  }

  async function use(
    stores: RbacStores,
    before: StoredInvite,
    scope: Parameters<Emit<typeof rbacEvents>>[0] & { actor: { id: string } },
    tx: Tx,
    now: number,
  ): Promise<void> {
    const uses = before.uses + 1
    const state = before.maxUses !== null && uses >= before.maxUses ? 'accepted' : 'open'
    await stores.invites.update(before.tenantId, before.id, { uses, state })
    const { resource, data } = aboutInvite(before)
    const seen = { before: viewOf(before, now), after: viewOf({ ...before, uses, state }, now) }
    const draft = { resource, data: { ...data, userId: scope.actor.id }, ...seen }
    await emit(scope, { type: 'invite.accepted', ...draft }, tx)
  }
}

/** @throws ProblemError `invite_wrong_email`, which does not say which address would have been right. */
function checkAddresses({ address, domains }: StoredInvite, emails: readonly string[]): void {
  for (const email of emails) {
    const own = addressOf(email)
    if (own && (address === null ? domains.includes(own.domain) : own.normal === address)) return
  }
  throw rbacErrors.invite_wrong_email({
    detail: 'Sign in as whoever was invited, with an e-mail address that is verified.',
  })
}

/** One answer for whatever is wrong with a token: its holder needs a new one in any case, and a guesser learns nothing. */
export function unknownInvite() {
  return rbacErrors.invite_not_found({ detail: 'It may have expired, been used or been replaced. Ask for a new one.' })
}
