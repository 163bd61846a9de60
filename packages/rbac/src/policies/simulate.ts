/** What somebody could do if another version of the policy were in force. */
import { ExternalId, parse, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { unexpired } from '../permissions/authority.js'
import type { ActionOf, ResourceOf, Resources } from '../permissions/resources.js'
import type { Explanation } from '../permissions/schema.js'
import { defaultTenantId } from '../tenants/default.js'
import { assumed, explainUnder, somebody } from './run-tests.js'
import { Simulate as SimulateInput, type WhichPolicy } from './schema.js'
import type { PolicyStates } from './state.js'

/** Whom a question is about, under which policy it is asked, and what they want to do. */
export type Simulation<R extends Resources, Asked extends ResourceOf<R> = ResourceOf<R>> = {
  [Resource in Asked]: WhichPolicy & {
    /** {@link defaultTenantId} unless told. */
    tenantId?: string | undefined
    /** The member that it is about; with `roles`, whom the variable `userId` in conditions stands for. */
    userId?: string | undefined
    /** These roles, by key, instead of those that the member has. */
    roles?: readonly string[] | undefined
    resource: Resource
    action: ActionOf<R, Resource>
    /** Text, numbers, booleans and null by field. */
    row?: Record<string, string | number | boolean | null> | undefined
    fields?: readonly string[] | undefined
    /** Asks inside this transaction, and sees what it changed. */
    tx?: Tx | undefined
  }
}[Asked]

export interface Simulations<R extends Resources> {
  /**
   * Explains what a member could do, or anybody with `roles`, under a `version` of the policy, under the draft, or under
   * a document that is nowhere yet; under the published one unless told. Nothing is written.
   *
   * @throws ProblemError `invalid_input` for unknown names, with the known ones; `not_found` for a version or a draft
   *   that is not there.
   */
  simulate<Asked extends ResourceOf<R>>(input: Simulation<R, Asked>): Promise<Explanation>
}

export function createSimulations<R extends Resources>(deps: Deps, states: PolicyStates): Simulations<R> {
  const { storage, catalog, runtime } = deps
  const simulate: Simulations<R>['simulate'] = async (given) => {
    const { tenantId = defaultTenantId, tx, ...input } = given
    parse(ExternalId, tenantId, '/tenantId')
    const { userId = somebody, roles, resource, action, row, fields, ...which } = parse(SimulateInput, input)
    catalog.check(resource, action)
    const asked = { tenantId, userId, resource, action, about: { row, fields } }
    return storage.read(async (stores) => {
      const { book } = await states.of(stores, tenantId, which)
      if (roles) return explainUnder(catalog, book, asked, assumed(book, tenantId, userId, roles))
      const [suspended] = await stores.members.suspended(tenantId, [userId])
      const held = unexpired(await stores.assignments.ofUser(tenantId, userId), runtime.clock.now())
      return explainUnder(catalog, book, asked, suspended ? [] : held, { suspended: suspended !== undefined })
    }, tx)
  }
  return { simulate }
}
