import { checkScope, coreErrors, type Page, paginate, parse, type Scope, systemActor, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { keepOwner, ownerRolesOf, ownersOf } from '../members/owners.js'
import { rulesOfRoles } from '../permissions/ceiling.js'
import type { RoleBook } from '../roles/book.js'
import type { RbacStores } from '../storage/port.js'
import { guardDenies, hasDeny } from './denies.js'
import { type Assignment, AssignmentQuery, AssignmentView, AssignRole, type Instance, UnassignRole } from './schema.js'

export interface Assignments {
  /**
   * Gives a member a role, in the tenant as a whole or, with `on`, over one thing; for ever or until `expiresAt`.
   * Whoever is no member yet becomes one. Answers the same assignment if the member has it already, with the new end if
   * that differs. Emits `assignment.created` or `assignment.updated`.
   *
   * @throws ProblemError `invalid_input` for an unknown role or resource, with the known ones, or an end that has
   *   passed; `exceeds_own_rights` if the actor lacks a right of the role, or changes an owner without holding an
   *   owner's rights, or ends a deny earlier for somebody who then holds more; `last_owner` if the last owner's role is
   *   given an end.
   */
  assign(scope: Scope, input: AssignRole): Promise<Assignment>
  /**
   * Takes a role from a member, also one that is no longer defined. Emits `assignment.deleted`.
   *
   * @throws ProblemError `invalid_input` for an unknown role; `not_found` if the member does not have it; `last_owner`
   *   if the tenant would be left without an owner, whoever asks; `exceeds_own_rights` if the member is an owner and the
   *   actor lacks a right of theirs, or if the role denies what the actor may not do either.
   */
  unassign(scope: Scope, input: UnassignRole): Promise<void>
  /**
   * Who has which role in the tenant, the newest first, also of a role that is no longer defined and after its end.
   *
   * @throws ProblemError `invalid_input`.
   */
  list(scope: Scope, query?: AssignmentQuery): Promise<Page<Assignment>>
}

/** Writes assignments for the services that change a team; each checks its own rules first. */
export interface AssignmentWriter {
  add(scope: Scope, stores: RbacStores, tx: Tx, assignment: Omit<Assignment, 'id' | 'tenantId'>): Promise<Assignment>
  remove(scope: Scope, stores: RbacStores, tx: Tx, assignment: Assignment): Promise<void>
}

export function createAssignmentWriter({ runtime, emit }: Pick<Deps, 'runtime' | 'emit'>): AssignmentWriter {
  const about = ({ id, userId, role }: Assignment) => ({
    resource: { type: 'assignment', id },
    targets: [{ type: 'member', id: userId }],
    data: { assignmentId: id, userId, role },
  })
  return {
    async add(scope, stores, tx, draft) {
      const { tenantId } = scope
      const { userId, createdAt, expiresAt } = draft
      const member = { id: runtime.id('mem'), tenantId, userId, status: 'active' as const, createdAt }
      await stores.members.insertOrFind(member)
      const assignment: Assignment = { id: runtime.id('asg'), tenantId, ...draft }
      const found = await stores.assignments.insertOrFind(assignment)
      if (!found) {
        const after = AssignmentView.parse(assignment)
        await emit(scope, { type: 'assignment.created', ...about(assignment), after }, tx)
        return assignment
      }
      if (found.expiresAt === expiresAt) return found
      await stores.assignments.setExpiry(found.id, expiresAt)
      const changed = { ...found, expiresAt }
      const [before, after] = [AssignmentView.parse(found), AssignmentView.parse(changed)]
      await emit(scope, { type: 'assignment.updated', ...about(found), before, after }, tx)
      return changed
    },
    async remove(scope, stores, tx, assignment) {
      await stores.assignments.remove(assignment.id)
      const before = AssignmentView.parse(assignment)
      await emit(scope, { type: 'assignment.deleted', ...about(assignment), before }, tx)
    },
  }
}

export function createAssignments(deps: Deps, writer: AssignmentWriter): Assignments {
  const { storage, catalog, roles, runtime, ceiling, change } = deps
  const bookOf = async (stores: RbacStores, tenantId: string) =>
    roles.with(await stores.policies.current(tenantId, { lock: true }))

  return {
    async assign(scope, input) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      const { userId, role: key, on = null, expiresAt = null } = parse(AssignRole, input)
      const now = runtime.clock.now()
      if (on) catalog.checkResource(on.resource, '/on/resource')
      if (expiresAt !== null && expiresAt <= now) {
        throw coreErrors.invalid_input({ errors: [{ pointer: '/expiresAt', detail: 'must be in the future' }] })
      }
      return change(scope, async (stores, tx) => {
        const book = await bookOf(stores, tenantId)
        const role = book.known(key)
        // Asked for the ceiling, which the host's own code does not have, and for an owner who is to stop being one.
        const isBounded = actor.type !== 'system' || expiresAt !== null
        const owned = isBounded ? await ownerRolesOf(stores, book, tenantId, userId) : []
        // Each by itself: what the role denies does not make an owner less.
        const wanted = [rulesOfRoles(book, [role], expiresAt), rulesOfRoles(book, owned)]
        await ceiling.requireEach(scope, stores, wanted, namesOf([role, ...owned]))
        const held = hasDeny(book, { roleId: role.id }) ? await stores.assignments.ofUser(tenantId, userId, locked) : []
        const shortened = held.filter(
          (one) => one.roleId === role.id && isSame(on, one.on) && endsLater(one, expiresAt),
        )
        const rest = { ended: shortened, left: held.filter((one) => !shortened.includes(one)) }
        await guardDenies(deps, scope, stores, book, rest)
        const owners = owned.length > 0 && expiresAt !== null ? await ownersOf(stores, book, tenantId) : []
        const draft = { userId, role: key, roleId: role.id, on, expiresAt, createdAt: now }
        const assignment = await writer.add(scope, stores, tx, draft)
        if (owners.length > 0) keepOwner(owners, await ownersOf(stores, book, tenantId))
        return assignment
      })
    },

    async unassign(scope, input) {
      const { tenantId } = checkScope(scope)
      const { userId, role: key, on = null } = parse(UnassignRole, input)
      await change(scope, async (stores, tx) => {
        const book = await bookOf(stores, tenantId)
        const owned = await ownerRolesOf(stores, book, tenantId, userId)
        await ceiling.require(scope, stores, rulesOfRoles(book, owned), namesOf(owned))
        const assignments = await stores.assignments.ofUser(tenantId, userId, locked)
        const found = assignments.filter(({ role, on: other }) => role === key && isSame(on, other))
        if (found.length === 0) throw notHeld(book, userId, key)
        const left = assignments.filter((one) => !found.includes(one))
        await guardDenies(deps, scope, stores, book, { ended: found, left })
        const owners = await ownersOf(stores, book, tenantId)
        for (const assignment of found) await writer.remove(scope, stores, tx, assignment)
        const gone = new Set(found.map(({ id }) => id))
        keepOwner(
          owners,
          owners.filter(({ id }) => !gone.has(id)),
        )
      })
    },

    async list(scope, query = {}) {
      const { tenantId } = checkScope(scope)
      const { userId, role, ...page } = parse(AssignmentQuery, query)
      return storage.read(async (stores) => {
        const found = await paginate(
          page,
          ['string'],
          (slice) => stores.assignments.list(tenantId, { userId, role }, slice),
          (last) => [last.id],
        )
        if (role !== undefined && found.data.length === 0)
          roles.with(await stores.policies.current(tenantId)).known(role)
        return found
      }, scope.tx)
    },
  }
}

const locked = { lock: true }

/** For the sentence that says what somebody may not hand out. */
export function namesOf(roles: readonly { key: string }[]): string {
  return [...new Set(roles.map(({ key }) => `"${key}"`))].join(', ')
}

/** A role that is no longer defined is unknown only if nobody is to lose it. */
function notHeld(book: RoleBook, userId: string, key: string) {
  const { name } = book.known(key)
  return coreErrors.not_found({ detail: `"${userId}" does not have the role "${name}".` })
}

function endsLater(one: Assignment, expiresAt: number | null): boolean {
  return expiresAt !== null && (one.expiresAt === null || one.expiresAt > expiresAt)
}

function isSame(one: Instance | null, other: Instance | null): boolean {
  return one?.resource === other?.resource && one?.id === other?.id
}
