/** The questions that a host asks of the roles it handed out. */
import type { MongoAbility } from '@casl/ability'
import { packRules } from '@casl/ability/extra'
import { allows, authorize, ExternalId, parse, type RequestContext, type Tx } from '@org/core'
import type { Assignment } from '../assignments/schema.js'
import type { Deps } from '../deps.js'
import { defaultTenantId } from '../tenants/default.js'
import { createAbility, type RbacAbility, rulesOf } from './ability.js'
import { allowsRow } from './decide.js'
import { type ConcretePermission, matchesPermission } from './permission.js'
import type { ActionOf, ResourceOf, Resources } from './resources.js'
import type { CheckPermission, Explanation, Me } from './schema.js'

export interface AskOptions {
  /** {@link defaultTenantId} unless told. */
  tenantId?: string | undefined
  /** Asks inside this transaction, and sees what it changed. */
  tx?: Tx | undefined
}

export interface CheckOptions extends AskOptions {
  /** The row that it is about, for rules that depend on it. */
  row?: object | undefined
}

export interface Permissions<R extends Resources> {
  /**
   * Whether a user may do this, by the roles held in the tenant.
   *
   * @throws ProblemError `invalid_input` for a resource or an action that the catalog does not know.
   */
  checkPermission<Resource extends ResourceOf<R>>(
    userId: string,
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: CheckOptions,
  ): Promise<boolean>
  /** All that a user's roles grant, as a sorted list without wildcards: an owner's is the whole catalog. */
  getUserPermissions(userId: string, options?: AskOptions): Promise<ConcretePermission<R>[]>
  /** The user's CASL ability in a tenant, for CASL's own tools. It says no to whatever the catalog does not know. */
  abilityFor(who: { userId: string } & AskOptions): Promise<RbacAbility<R>>
  /**
   * Why: the decision, and the assignment, role and permission behind it.
   *
   * @throws ProblemError `invalid_input` as `checkPermission`.
   */
  explain<Resource extends ResourceOf<R>>(
    userId: string,
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: AskOptions,
  ): Promise<Explanation>
  /**
   * The ids of all users whose roles in the tenant grant this, sorted.
   *
   * @throws ProblemError `invalid_input` as `checkPermission`.
   */
  whoCan<Resource extends ResourceOf<R>>(
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: AskOptions,
  ): Promise<string[]>
}

/** What the routes and the request context ask beyond that. */
export interface OwnPermissions {
  abilityOf(userId: string, ask: AskOptions): Promise<MongoAbility>
  me(context: RequestContext): Promise<Me>
  check(context: RequestContext, question: CheckPermission): Promise<{ allowed: boolean }>
}

export function createPermissions<R extends Resources>(
  deps: Pick<Deps, 'storage' | 'catalog' | 'roles'>,
): Permissions<R> & OwnPermissions {
  const { storage, catalog, roles } = deps

  async function held(userId: string, { tenantId = defaultTenantId, tx }: AskOptions): Promise<Assignment[]> {
    parse(ExternalId, userId, '/userId')
    parse(ExternalId, tenantId, '/tenantId')
    const all = await storage.read(({ assignments }) => assignments.ofUser(tenantId, userId), tx)
    return all.filter(({ role }) => roles.get(role))
  }

  async function granted(userId: string, ask: AskOptions): Promise<string[]> {
    return roles.permissions((await held(userId, ask)).map(({ role }) => role))
  }

  async function abilityOf(userId: string, ask: AskOptions): Promise<MongoAbility> {
    return createAbility(catalog, rulesOf(await granted(userId, ask)))
  }

  return {
    abilityOf,

    async checkPermission(userId, resource, action, { row, ...ask } = {}) {
      catalog.check(resource, action)
      return allowsRow(await abilityOf(userId, ask), action, resource, row)
    },

    async getUserPermissions(userId, ask = {}) {
      // The catalog was made from R, so that its permissions are R's.
      return catalog.expand(await granted(userId, ask)) as ConcretePermission<R>[]
    },

    async abilityFor({ userId, ...ask }) {
      return (await abilityOf(userId, ask)) as unknown as RbacAbility<R>
    },

    async explain(userId, resource, action, ask = {}) {
      catalog.check(resource, action)
      const assignments = await held(userId, ask)
      const grants = assignments.flatMap(({ id, role }) =>
        roles
          .permissions([role])
          .filter((permission) => matchesPermission(permission, resource, action))
          .map((permission) => ({ assignmentId: id, role, permission })),
      )
      const { tenantId = defaultTenantId } = ask
      const question = { tenantId, userId, resource, action }
      return { allowed: grants.length > 0, ...question, grants, roles: assignments.map(({ role }) => role) }
    },

    async whoCan(resource, action, { tenantId = defaultTenantId, tx } = {}) {
      catalog.check(resource, action)
      parse(ExternalId, tenantId, '/tenantId')
      const grants = (permission: string) => matchesPermission(permission, resource, action)
      const granting = roles.all().filter(({ permissions }) => permissions.some(grants))
      const keys = granting.map(({ key }) => key)
      const found = await storage.read(({ assignments }) => assignments.ofRoles(tenantId, keys), tx)
      return [...new Set(found.map(({ userId }) => userId))].sort()
    },

    async me({ tenantId, actor, tx }) {
      const assignments = actor.type === 'user' ? await held(actor.id, { tenantId, tx }) : []
      const keys = assignments.map(({ role }) => role)
      const permissions = roles.permissions(keys)
      const rules = packRules(rulesOf(permissions))
      return { tenantId, actor, roles: keys, permissions: catalog.expand(permissions), rules }
    },

    async check(context, { userId, resource, action }) {
      const { tenantId, actor, ability: own, tx } = context
      catalog.check(resource, action)
      const oneself = userId === undefined || (actor.type === 'user' && userId === actor.id)
      if (oneself) return { allowed: allows(own, action, resource) }
      authorize(context, 'read', 'team')
      return { allowed: allows(await abilityOf(userId, { tenantId, tx }), action, resource) }
    },
  }
}
