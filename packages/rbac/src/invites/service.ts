import {
  checkId,
  checkScope,
  coreErrors,
  type Page,
  paginate,
  parse,
  type RequestInfo,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import { type AssignmentWriter, namesOf } from '../assignments/service.js'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { rulesOfRoles } from '../permissions/ceiling.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import type { Membership } from '../tenants/schema.js'
import { createAccept } from './accept.js'
import { addressOf } from './email.js'
import { aboutInvite, inviteOf, viewOf, wantedRoles } from './invite.js'
import { createSendInvite } from './mail.js'
import { checkExpiry, type InviteOptions } from './options.js'
import { createPreview } from './preview.js'
import {
  type AcceptInvite,
  CreateInvite,
  type Invite,
  type InvitePreview,
  InviteQuery,
  type IssuedInvite,
  ResendInvite,
  type StoredInvite,
  type TokenInput,
} from './schema.js'
import { createToken, hashOf } from './token.js'

export interface Invites {
  /**
   * Offers membership with roles, to an address or as a link, and answers the token, which is never shown again: put it
   * into a link to a page of yours. An invite to an address is handed to `invites.send` once it is committed; `sentAt`
   * says whether it was taken. In a transaction of the host's (`scope.tx`) nothing is sent, since only the host knows
   * whether it commits: mail the token afterwards, or call `resend`. Emits `invite.created`.
   *
   * @throws ProblemError `invalid_input` for no address, domain or known role; `exceeds_own_rights`; `already_invited`,
   *   with `inviteId`, if an invite to the address is pending.
   */
  create(scope: Scope, input: CreateInvite): Promise<IssuedInvite>
  /** The newest first. @throws ProblemError `invalid_input`. */
  list(scope: Scope, query?: InviteQuery): Promise<Page<Invite>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Invite>
  /**
   * Gives a pending or expired invite a new token and a new end; the old token is dead at once. It stands on the rights
   * of whoever sends it from now on. Sent as `create` does. Emits `invite.resent`.
   *
   * @throws ProblemError `not_found`; `invite_closed` if it was accepted or revoked; `invite_void` if a role is gone;
   *   `exceeds_own_rights`; `already_invited` if it had expired and another one to the address is pending.
   */
  resend(scope: Scope, id: string, input?: ResendInvite): Promise<IssuedInvite>
  /**
   * Ends a pending or expired invite. Changes nothing if that was done before. Emits `invite.revoked`.
   *
   * @throws ProblemError `not_found`; `invite_closed` if it was accepted.
   */
  revoke(scope: Scope, id: string): Promise<void>
  /**
   * Makes a user a member of the tenant that invited them, with the roles of the invite, or changes nothing. Emits
   * `invite.accepted`, `member.added` and an `assignment.created` for each role, in the user's name. `userId` is whoever
   * is signed in, never what a body says.
   *
   * @throws ProblemError `invite_not_found` for a token that is unknown, replaced, expired, revoked or used up, which are
   *   told apart by nobody; `invite_wrong_email` if no verified address of the user's fits; `already_member`, also of one
   *   who is suspended, and the invite stays as it is; `invite_void` if whoever invited could not give these roles today;
   *   `setup_error` if nobody told which addresses are the user's.
   */
  accept(input: AcceptInvite, options?: RequestInfo & { tx?: Tx | undefined }): Promise<Membership>
  /**
   * What an invite offers, for the page that its link leads to. Needs the token only.
   *
   * @throws ProblemError `invite_not_found`, as `accept`; `invalid_input`.
   */
  preview(input: TokenInput, options?: { tx?: Tx | undefined }): Promise<InvitePreview>
}

export function createInvites(deps: Deps, writer: AssignmentWriter, options: InviteOptions = {}): Invites {
  const { storage, roles, runtime, emit, ceiling, change } = deps
  const { clock } = runtime
  const usualExpiry = checkExpiry(options)
  const send = createSendInvite(deps, options)

  /** The name goes to the mailer, which reads nothing itself. */
  const issue = async (scope: Scope, token: string, stored: StoredInvite, name: string | null) => {
    const invite = inviteOf(stored, clock.now())
    return { invite: scope.tx ? invite : await send({ invite, token }, name), token }
  }
  const existing = async (stores: RbacStores, tenantId: string, id: string): Promise<StoredInvite> => {
    const invite = await stores.invites.find(tenantId, id, { lock: true })
    if (!invite) throw notFound(id)
    return invite
  }
  const nameOf = async (stores: RbacStores, tenantId: string) => (await stores.tenants.find(tenantId))?.name ?? null
  const refuseTwin = async (stores: RbacStores, { tenantId, address, id }: StoredInvite) => {
    const twin = address === null ? null : await stores.invites.pendingTo(tenantId, address, clock.now())
    if (!twin || twin.id === id) return
    const detail = 'An invite to this address is pending; send that one again.'
    throw rbacErrors.already_invited({ detail, extensions: { inviteId: twin.id } })
  }

  return {
    async create(scope, input) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      const { email = null, link, roles: keys, expiresInMs = usualExpiry } = parse(CreateInvite, input)
      const token = createToken(runtime.random)
      const [stored, name] = await change(scope, async (stores, tx) => {
        const book = roles.with(await stores.policies.current(tenantId, { lock: true }))
        const given = wantedRoles(book, keys)
        await ceiling.require(scope, stores, rulesOfRoles(book, given), namesOf(given))
        const now = clock.now()
        const invite: StoredInvite = {
          ...{ id: runtime.id('inv'), tenantId, kind: link ? 'link' : 'email', state: 'open' },
          ...{ email, address: email === null ? null : (addressOf(email)?.normal ?? null) },
          ...{ domains: [...new Set(link?.domains)], maxUses: link ? (link.maxUses ?? null) : 1, uses: 0 },
          ...{ roles: given.map(({ id, key }) => ({ id, key })), invitedBy: { type: actor.type, id: actor.id } },
          ...{ tokenHash: hashOf(token), sentAt: null, sendError: null },
          ...{ expiresAt: now + expiresInMs, createdAt: now },
        }
        await refuseTwin(stores, invite)
        await stores.invites.insert(invite)
        await emit(scope, { type: 'invite.created', ...aboutInvite(invite), after: viewOf(invite, now) }, tx)
        return [invite, await nameOf(stores, tenantId)] as const
      })
      return issue(scope, token, stored, name)
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { status, ...page } = parse(InviteQuery, query)
      const now = clock.now()
      return storage.read(async ({ invites }) => {
        const found = await paginate(
          page,
          ['string'],
          (slice) => invites.list(tenantId, { status, now }, slice),
          (last) => [last.id],
        )
        return { ...found, data: found.data.map((invite) => inviteOf(invite, now)) }
      }, tx)
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read(({ invites }) => invites.find(tenantId, id), tx)
      if (!found) throw notFound(id)
      return inviteOf(found, clock.now())
    },

    async resend(scope, id, input = {}) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      checkId(id)
      const { expiresInMs = usualExpiry } = parse(ResendInvite, input)
      const token = createToken(runtime.random)
      const [stored, name] = await change(scope, async (stores, tx) => {
        const book = roles.with(await stores.policies.current(tenantId, { lock: true }))
        const before = await existing(stores, tenantId, id)
        if (before.state !== 'open') throw closed(before)
        const given = before.roles.map(({ id }) => book.byId(id)).filter((role): role is Role => role !== null)
        if (given.length < before.roles.length) {
          throw rbacErrors.invite_void({ detail: 'A role that it gives is no longer there; make a new invite.' })
        }
        await ceiling.require(scope, stores, rulesOfRoles(book, given), namesOf(given))
        await refuseTwin(stores, before)
        const now = clock.now()
        const patch = {
          ...{ tokenHash: hashOf(token), sentAt: null, sendError: null, expiresAt: now + expiresInMs },
          invitedBy: { type: actor.type, id: actor.id },
        }
        await stores.invites.update(tenantId, id, patch)
        const after = { ...before, ...patch }
        const seen = { before: viewOf(before, now), after: viewOf(after, now) }
        await emit(scope, { type: 'invite.resent', ...aboutInvite(after), ...seen }, tx)
        return [after, await nameOf(stores, tenantId)] as const
      })
      return issue(scope, token, stored, name)
    },

    async revoke(scope, id) {
      const { tenantId } = checkScope(scope)
      checkId(id)
      await change(scope, async (stores, tx) => {
        const before = await existing(stores, tenantId, id)
        if (before.state === 'revoked') return
        if (before.state === 'accepted') throw closed(before)
        await stores.invites.update(tenantId, id, { state: 'revoked' })
        const now = clock.now()
        const seen = { before: viewOf(before, now), after: viewOf({ ...before, state: 'revoked' }, now) }
        await emit(scope, { type: 'invite.revoked', ...aboutInvite(before), ...seen }, tx)
      })
    },

    accept: createAccept(deps, writer, options),
    preview: createPreview(deps),
  }
}

function notFound(id: string) {
  return coreErrors.not_found({ detail: `There is no invite "${id}".` })
}

function closed({ state }: StoredInvite) {
  return rbacErrors.invite_closed({ detail: `It was ${state}.` })
}
