/** A new version becomes the one that counts, whoever made it, under the same refusals. */
import { type Scope, systemActor } from '@org/core'
import { namesOf } from '../assignments/service.js'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { keepOwner, ownersOf } from '../members/owners.js'
import { unexpired } from '../permissions/authority.js'
import { createLifted, rulesOfRoles } from '../permissions/ceiling.js'
import type { RbacStores } from '../storage/port.js'
import type { ReadDocument } from './document.js'
import { type ChangedRole, changedInEffect } from './effect.js'
import { runTests } from './run-tests.js'
import type { Policy } from './schema.js'
import type { PolicyState, PolicyStates } from './state.js'

export interface NextPolicy extends Pick<Policy, 'kind' | 'basedOn' | 'note'> {
  document: ReadDocument
}

export interface Published {
  before: PolicyState
  after: PolicyState
  policy: Policy
}

/**
 * Writes the next version after `before`, which must have been read with a lock, inside of `deps.change`.
 *
 * @throws ProblemError `invalid_input`; `exceeds_own_rights` if a role whose rights change has or had one that the actor
 *   lacks, or no longer denies what the actor may not do, or an owner would be denied something from below; `role_in_use`; `last_owner`; `policy_tests_failed`.
 */
export type Publish = (scope: Scope, stores: RbacStores, before: PolicyState, next: NextPolicy) => Promise<Published>

export function createPublish(deps: Deps, states: PolicyStates): Publish {
  const { runtime, catalog, ceiling } = deps

  /** What is handed out and what is taken: neither may be above what the actor holds. */
  async function checkCeiling(
    scope: Scope,
    stores: RbacStores,
    { book }: PolicyState,
    next: PolicyState,
    changed: readonly ChangedRole[],
  ): Promise<void> {
    if ((scope.actor ?? systemActor).type === 'system') return
    const lifted = createLifted()
    const sets = changed.flatMap((role) => {
      const before = role.before ? rulesOfRoles(book, [role.before]) : []
      const after = role.after ? rulesOfRoles(next.book, [role.after]) : []
      // Nobody has a role that goes: see `checkUse`.
      return [before, after, role.after ? lifted(before, after) : []]
    })
    await ceiling.requireEach(scope, stores, sets, namesOf(changed))
    const harder = changed.filter(({ before, deniesMore }) => before !== null && deniesMore).map(({ id }) => id)
    if (harder.length === 0) return
    const held = await stores.assignments.ofRoles(scope.tenantId, harder, { lock: true })
    const holders = new Set(held.map(({ userId }) => userId))
    const ids = book.owners().map(({ id }) => id)
    const owned = await stores.assignments.ofRoles(scope.tenantId, ids, { lock: true })
    const touched = new Set(owned.filter(({ userId, on }) => on === null && holders.has(userId)).map((o) => o.roleId))
    const roles = book.owners().filter(({ id }) => touched.has(id))
    await ceiling.require(scope, stores, rulesOfRoles(book, roles), namesOf(roles))
  }

  /**
   * Assignments and invites that have expired give nothing, and cannot be prolonged into another role of the same key;
   * those of suspended members wait for them to be back.
   */
  async function checkUse(stores: RbacStores, tenantId: string, changed: readonly ChangedRole[]): Promise<void> {
    const gone = changed.filter(({ after }) => after === null)
    if (gone.length === 0) return
    const now = runtime.clock.now()
    const ids = gone.map(({ id }) => id)
    const held = unexpired(await stores.assignments.ofRoles(tenantId, ids, { lock: true }), now)
    const pending = await stores.invites.pendingWithRoles(tenantId, ids, now)
    const roles = gone.flatMap(({ id, key }) => {
      const own = held.filter(({ roleId }) => roleId === id)
      const members = new Set(own.map(({ userId }) => userId)).size
      const invites = pending.filter((invite) => invite.roles.some((role) => role.id === id)).length
      return own.length + invites > 0 ? [{ key, assignments: own.length, members, invites }] : []
    })
    if (roles.length === 0) return
    const detail = `Members have ${namesOf(roles)}, or pending invites offer it; take it from them first.`
    throw rbacErrors.role_in_use({ detail, extensions: { roles } })
  }

  function checkTests({ book, tests }: PolicyState, tenantId: string): void {
    const { failed, results } = runTests(catalog, book, tenantId, tests)
    if (failed === 0) return
    const failures = results.filter(({ ok }) => !ok)
    const names = failures.slice(0, 5).map(({ name, got }) => `"${name}" (got ${got})`)
    const detail = `${failed} of ${results.length} tests fail: ${names.join(', ')}${failed > 5 ? ', …' : ''}.`
    throw rbacErrors.policy_tests_failed({ detail, extensions: { failures } })
  }

  return async (scope, stores, before, { document, ...next }) => {
    const { tenantId, actor = systemActor } = scope
    const after = states.next(before, document, () => runtime.id('rol'))
    const changed = changedInEffect(before.book, after.book)
    await checkCeiling(scope, stores, before, after, changed)
    await checkUse(stores, tenantId, changed)
    if (changed.length > 0) {
      keepOwner(await ownersOf(stores, before.book, tenantId), await ownersOf(stores, after.book, tenantId))
    }
    checkTests(after, tenantId)
    const { version, roles, tests } = after
    const author = { type: actor.type, id: actor.id }
    const made = { author, createdAt: runtime.clock.now() }
    const policy: Policy = { tenantId, version, ...next, ...made, roles: [...roles], tests: [...tests] }
    await stores.policies.insert(policy)
    return { before, after, policy }
  }
}
