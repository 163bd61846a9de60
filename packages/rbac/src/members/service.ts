import { checkScope, coreErrors, ExternalId, parse, type Scope, systemActor, type Tx } from '@org/core'
import { guardDenies } from '../assignments/denies.js'
import { type AssignmentWriter, namesOf } from '../assignments/service.js'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { KeyWriter } from '../keys/writer.js'
import { authorityOf, unexpired } from '../permissions/authority.js'
import { rulesOfRoles } from '../permissions/ceiling.js'
import type { RoleBook } from '../roles/book.js'
import type { RbacStores } from '../storage/port.js'
import { createListMembers, type ListMembers, withRoles } from './list.js'
import { keepOwner, ownerRolesOf, ownersOf } from './owners.js'
import {
  AddMember,
  type Member,
  type MemberStatus,
  MemberView,
  type MemberWithRoles,
  RemoveMember,
  SetRoles,
  TransferOwnership,
} from './schema.js'

export interface Members {
  /**
   * Makes a user a member, with roles if any are named; `invites` does so with the user's consent. Emits `member.added`,
   * and `assignment.created` for each role.
   *
   * @throws ProblemError `already_member`; `invalid_input` for an unknown role; `exceeds_own_rights`.
   */
  add(scope: Scope, input: AddMember): Promise<MemberWithRoles>
  /** The newest first; with `status: 'invited'`, those who have been asked to join. @throws ProblemError `invalid_input`. */
  list: ListMembers
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, userId: string): Promise<MemberWithRoles>
  /**
   * Gives a member exactly these roles in the tenant as a whole, for good. Roles over one thing stay. Emits
   * `assignment.created` and `assignment.deleted` for what changes.
   *
   * @throws ProblemError `not_found`; `invalid_input` for an unknown role; `exceeds_own_rights` for a role that is new to
   *   them and more than the actor holds, for an owner changed from below, or for a deny that is taken off somebody who
   *   then holds more than the actor; `last_owner`.
   */
  setRoles(scope: Scope, userId: string, input: SetRoles): Promise<MemberWithRoles>
  /**
   * A suspended member, and every key that they made, holds nothing until `reactivate`. Emits `member.suspended`.
   *
   * @throws ProblemError `not_found`; `last_owner`; `exceeds_own_rights` for an owner suspended from below.
   */
  suspend(scope: Scope, userId: string): Promise<MemberWithRoles>
  /** Emits `member.reactivated`. @throws ProblemError `not_found`; `exceeds_own_rights`, as `assign` of their roles. */
  reactivate(scope: Scope, userId: string): Promise<MemberWithRoles>
  /**
   * Takes a user off the team, with every role. The keys that they made are revoked, or another member's from then on
   * (`keysTo`), within that member's rights. Emits `member.removed`, and `key.revoked` or `key.updated` for each key.
   *
   * @throws ProblemError `not_found`; `last_owner`; `member_suspended` if `keysTo` is; `exceeds_own_rights` for an owner
   *   removed from below, and for a key that could do more under `keysTo` than the actor.
   */
  remove(scope: Scope, userId: string, input?: RemoveMember): Promise<void>
  /**
   * The acting user goes by themselves, and the keys that they made end. Emits `member.left`.
   *
   * @throws ProblemError `not_found` if the actor is no member; `last_owner`; `member_suspended`.
   */
  leave(scope: Scope): Promise<void>
  /**
   * One owner makes another member an owner and stops being one, in one step. Emits `ownership.transferred` after the
   * `assignment.created` of the one and the `assignment.deleted` of the other.
   *
   * @throws ProblemError `not_found` if either is no member; `not_owner` if `from` is none; `member_suspended` if `to` is;
   *   `exceeds_own_rights` if the actor holds less than an owner.
   */
  transferOwnership(scope: Scope, input: TransferOwnership): Promise<void>
}

function isSuspended(userId: string) {
  return rbacErrors.member_suspended({ detail: `"${userId}" is suspended.` })
}

export function createMembers(deps: Deps, writer: AssignmentWriter, keyWriter: KeyWriter): Members {
  const { storage, roles, runtime, emit, ceiling, change } = deps
  const bookOf = async (stores: RbacStores, tenantId: string) =>
    roles.with(await stores.policies.current(tenantId, { lock: true }))

  const shownOf = async (stores: RbacStores, member: Member) =>
    withRoles(member, await stores.assignments.ofUser(member.tenantId, member.userId), runtime.clock.now())

  const existing = async (stores: RbacStores, tenantId: string, userId: string): Promise<Member> => {
    const member = await stores.members.find(tenantId, userId, { lock: true })
    if (!member) throw coreErrors.not_found({ detail: `"${userId}" is not a member.` })
    return member
  }
  const activeMember = async (stores: RbacStores, tenantId: string, userId: string): Promise<Member> => {
    const member = await existing(stores, tenantId, userId)
    if (member.status !== 'active') throw isSuspended(userId)
    return member
  }
  /** Nobody below an owner changes one. */
  const guardOwner = async (scope: Scope, stores: RbacStores, book: RoleBook, userId: string) => {
    const owned = await ownerRolesOf(stores, book, scope.tenantId, userId)
    await ceiling.require(scope, stores, rulesOfRoles(book, owned), namesOf(owned))
  }
  const about = (member: Member) => ({
    resource: { type: 'member', id: member.userId },
    data: { userId: member.userId },
  })

  async function setStatus(scope: Scope, userId: string, status: MemberStatus): Promise<MemberWithRoles> {
    const { tenantId } = checkScope(scope)
    parse(ExternalId, userId, '/userId')
    return change(scope, async (stores, tx) => {
      const book = await bookOf(stores, tenantId)
      const member = await existing(stores, tenantId, userId)
      if (member.status === status) return shownOf(stores, member)
      await guardOwner(scope, stores, book, userId)
      if (status === 'active') {
        const held = await stores.assignments.ofUser(tenantId, userId, { lock: true })
        const who = { tenantId, actor: { type: 'user' as const, id: userId }, userId }
        const { rules } = authorityOf(book, who, unexpired(held, runtime.clock.now()))
        await ceiling.require(scope, stores, rules, `"${userId}"`)
      }
      const owners = await ownersOf(stores, book, tenantId)
      await stores.members.setStatus(tenantId, userId, status)
      keepOwner(owners, await ownersOf(stores, book, tenantId))
      const before = await shownOf(stores, member)
      const after = { ...before, status }
      const type = status === 'active' ? 'member.reactivated' : 'member.suspended'
      const seen = { before: MemberView.parse(before), after: MemberView.parse(after) }
      await emit(scope, { type, ...about(member), ...seen }, tx)
      return after
    })
  }

  async function take(
    scope: Scope,
    type: 'member.removed' | 'member.left',
    { userId, keysTo }: { userId: string; keysTo: string | null },
    stores: RbacStores,
    tx: Tx,
  ): Promise<void> {
    const { tenantId } = scope
    const book = await bookOf(stores, tenantId)
    const member = await existing(stores, tenantId, userId)
    if (type === 'member.removed') await guardOwner(scope, stores, book, userId)
    // They could come back by a link, and not be suspended.
    else if (member.status === 'suspended') throw isSuspended(userId)
    const owners = await ownersOf(stores, book, tenantId)
    if (keysTo !== null) await activeMember(stores, tenantId, keysTo)
    const reason = type === 'member.left' ? 'member_left' : 'member_removed'
    await keyWriter.leave(scope, stores, tx, { from: userId, to: keysTo, reason })
    const before = MemberView.parse(await shownOf(stores, member))
    for (const { id } of await stores.assignments.ofUser(tenantId, userId, { lock: true })) {
      await stores.assignments.remove(id)
    }
    await stores.members.remove(tenantId, userId)
    keepOwner(
      owners,
      owners.filter((owner) => owner.userId !== userId),
    )
    await emit(scope, { type, ...about(member), before }, tx)
  }

  return {
    async add(scope, input) {
      const { tenantId } = checkScope(scope)
      const { userId, roles: keys = [] } = parse(AddMember, input)
      return change(scope, async (stores, tx) => {
        const book = await bookOf(stores, tenantId)
        const given = [...new Set(keys.map((key, i) => book.known(key, `/roles/${i}`)))]
        await ceiling.require(scope, stores, rulesOfRoles(book, given), namesOf(given))
        const now = runtime.clock.now()
        const member: Member = { id: runtime.id('mem'), tenantId, userId, status: 'active', createdAt: now }
        if (await stores.members.insertOrFind(member)) {
          throw rbacErrors.already_member({ detail: `"${userId}" is a member already.` })
        }
        const after = MemberView.parse({ ...member, roles: given.map(({ key }) => key) })
        await emit(scope, { type: 'member.added', ...about(member), after }, tx)
        for (const { id, key } of given) {
          const draft = { userId, role: key, roleId: id, on: null, expiresAt: null, createdAt: now }
          await writer.add(scope, stores, tx, draft)
        }
        return shownOf(stores, member)
      })
    },

    list: createListMembers(deps),

    async get(scope, userId) {
      const { tenantId, tx } = checkScope(scope)
      parse(ExternalId, userId, '/userId')
      return storage.read(async (stores) => {
        const member = await stores.members.find(tenantId, userId)
        if (!member) throw coreErrors.not_found({ detail: `"${userId}" is not a member.` })
        return shownOf(stores, member)
      }, tx)
    },

    async setRoles(scope, userId, input) {
      const { tenantId } = checkScope(scope)
      parse(ExternalId, userId, '/userId')
      const { roles: keys } = parse(SetRoles, input)
      return change(scope, async (stores, tx) => {
        const book = await bookOf(stores, tenantId)
        const wanted = keys.map((key, i) => book.known(key, `/roles/${i}`))
        const member = await existing(stores, tenantId, userId)
        await guardOwner(scope, stores, book, userId)
        const all = await stores.assignments.ofUser(tenantId, userId, { lock: true })
        const held = all.filter(({ on }) => on === null)
        const lasting = held.filter(({ expiresAt }) => expiresAt === null)
        const added = wanted.filter(({ id }) => !lasting.some(({ roleId }) => roleId === id))
        await ceiling.require(scope, stores, rulesOfRoles(book, added), namesOf(added))
        const owners = await ownersOf(stores, book, tenantId)
        const ended = held.filter(({ roleId }) => !wanted.some(({ id }) => id === roleId))
        const left = all.filter((one) => !ended.includes(one))
        await guardDenies(deps, scope, stores, book, { ended, left })
        for (const { id, key } of added) {
          const draft = { userId, role: key, roleId: id, on: null, expiresAt: null, createdAt: runtime.clock.now() }
          await writer.add(scope, stores, tx, draft)
        }
        for (const one of ended) await writer.remove(scope, stores, tx, one)
        keepOwner(owners, await ownersOf(stores, book, tenantId))
        return shownOf(stores, member)
      })
    },

    suspend: (scope, userId) => setStatus(scope, userId, 'suspended'),
    reactivate: (scope, userId) => setStatus(scope, userId, 'active'),

    async remove(scope, userId, input = {}) {
      checkScope(scope)
      parse(ExternalId, userId, '/userId')
      const { keysTo = null } = parse(RemoveMember, input)
      if (keysTo === userId) {
        throw coreErrors.invalid_input({ errors: [{ pointer: '/keysTo', detail: 'must be another member' }] })
      }
      await change(scope, (stores, tx) => take(scope, 'member.removed', { userId, keysTo }, stores, tx))
    },

    async leave(scope) {
      const { actor = systemActor } = checkScope(scope)
      if (actor.type !== 'user') throw coreErrors.not_found({ detail: 'Only a user can leave a team.' })
      await change(scope, (stores, tx) => take(scope, 'member.left', { userId: actor.id, keysTo: null }, stores, tx))
    },

    async transferOwnership(scope, input) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      const { to, from = actor.id } = parse(TransferOwnership, input)
      await change(scope, async (stores, tx) => {
        const book = await bookOf(stores, tenantId)
        const member = await existing(stores, tenantId, from)
        await activeMember(stores, tenantId, to)
        const owners = await ownersOf(stores, book, tenantId)
        const given = owners.filter(({ userId }) => userId === from)
        if (given.length === 0) throw rbacErrors.not_owner({ detail: `"${from}" is not an owner.` })
        await guardOwner(scope, stores, book, from)
        if (to === from) return
        for (const held of given) {
          const { role, roleId } = held
          const draft = { userId: to, role, roleId, on: null, expiresAt: null, createdAt: runtime.clock.now() }
          await writer.add(scope, stores, tx, draft)
          await writer.remove(scope, stores, tx, held)
        }
        const told = { data: { from, to }, targets: [{ type: 'member', id: to }] }
        await emit(scope, { type: 'ownership.transferred', ...about(member), ...told }, tx)
      })
    },
  }
}
