import { checkScope, coreErrors, type Page, paginate, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { RbacStores } from '../storage/port.js'
import { ceilingOf } from './ceiling.js'
import { type Assignment, AssignmentQuery, AssignmentView, AssignRole } from './schema.js'

export interface Assignments {
  /**
   * Gives a member a role, and answers the assignment; the one that is there if the member has it already. Emits
   * `assignment.created`.
   *
   * @throws ProblemError `invalid_input` for an unknown role, with the known ones; `exceeds_own_rights` if the actor
   *   lacks a right of the role, or changes an owner without holding an owner's rights.
   */
  assign(scope: Scope, input: AssignRole): Promise<Assignment>
  /**
   * Takes a role from a member, also one that the host no longer defines. Emits `assignment.deleted`.
   *
   * @throws ProblemError `invalid_input` for an unknown role; `not_found` if the member does not have it; `last_owner`
   *   if the tenant would be left without an owner, whoever asks; `exceeds_own_rights` if the member is an owner and the
   *   actor lacks a right of theirs.
   */
  unassign(scope: Scope, input: AssignRole): Promise<void>
  /**
   * Who has which role in the tenant, the newest first; also by a role that the host no longer defines.
   *
   * @throws ProblemError `invalid_input`.
   */
  list(scope: Scope, query?: AssignmentQuery): Promise<Page<Assignment>>
}

export function createAssignments({ storage, roles, runtime, emit }: Omit<Deps, 'catalog'>): Assignments {
  const ownerRoles = roles.owners()

  /** The tenant's owner assignments, which nobody else changes until the transaction ends. */
  const ownersOf = (tenantId: string, stores: RbacStores) =>
    stores.assignments.ofRoles(
      tenantId,
      ownerRoles.map(({ key }) => key),
      { lock: true },
    )

  /** The owner roles that one of them has. */
  const heldBy = (userId: string, owners: Assignment[]) =>
    ownerRoles.filter(({ key }) => owners.some((owner) => owner.userId === userId && owner.role === key))

  return {
    async assign(scope, input) {
      const { tenantId } = checkScope(scope)
      const { userId, role: key } = parse(AssignRole, input)
      const role = roles.known(key)
      return storage.run(async (stores, tx) => {
        await stores.tenants.lock(tenantId)
        const ceiling = ceilingOf(scope, stores.assignments, roles)
        if (ceiling) await ceiling.require([role, ...heldBy(userId, await ownersOf(tenantId, stores))])

        const id = runtime.id('asg')
        const assignment = { id, tenantId, userId, role: key, createdAt: runtime.clock.now() }
        const found = await stores.assignments.insertOrFind(assignment)
        if (found) return found
        const resource = { type: 'assignment', id }
        const data = { assignmentId: id, userId, role: key }
        const after = AssignmentView.parse(assignment)
        await emit(scope, { type: 'assignment.created', resource, data, after }, tx)
        return assignment
      }, scope.tx)
    },

    async unassign(scope, input) {
      const { tenantId } = checkScope(scope)
      const { userId, role: key } = parse(AssignRole, input)
      await storage.run(async (stores, tx) => {
        await stores.tenants.lock(tenantId)
        const owners = await ownersOf(tenantId, stores)
        await ceilingOf(scope, stores.assignments, roles)?.require(heldBy(userId, owners))

        const found = await stores.assignments.lock(tenantId, userId, key)
        if (!found) {
          // A role that the host no longer defines is unknown only if nobody is to lose it.
          const { name } = roles.known(key)
          throw coreErrors.not_found({ detail: `"${userId}" does not have the role "${name}".` })
        }
        if (owners.length === 1 && owners[0]?.id === found.id) {
          throw rbacErrors.last_owner({ detail: `"${userId}" is the last owner; make somebody else one first.` })
        }
        await stores.assignments.remove(found.id)
        const resource = { type: 'assignment', id: found.id }
        const data = { assignmentId: found.id, userId, role: key }
        const before = AssignmentView.parse(found)
        await emit(scope, { type: 'assignment.deleted', resource, data, before }, tx)
      }, scope.tx)
    },

    async list(scope, query = {}) {
      const { tenantId } = checkScope(scope)
      const { userId, role, ...page } = parse(AssignmentQuery, query)
      const found = await storage.read(
        ({ assignments }) =>
          paginate(
            page,
            ['string'],
            (slice) => assignments.list(tenantId, { userId, role }, slice),
            (last) => [last.id],
          ),
        scope.tx,
      )
      if (role !== undefined && found.data.length === 0) roles.known(role)
      return found
    },
  }
}
