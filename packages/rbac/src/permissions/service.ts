/** The questions that a host asks of the roles it handed out. */
import type { MongoAbility } from '@casl/ability'
import { packRules } from '@casl/ability/extra'
import {
  type Ability,
  type Actor,
  allows,
  authorize,
  ExternalId,
  type Page,
  paginate,
  parse,
  type RequestContext,
  type Slice,
  type Tx,
} from '@org/core'
import type { Access } from '../access.js'
import type { Assignment } from '../assignments/schema.js'
import type { Deps } from '../deps.js'
import { defaultTenantId } from '../tenants/default.js'
import { createAbility, type RbacAbility } from './ability.js'
import { authorityOf, loadAuthority, unexpired } from './authority.js'
import { explain } from './explain.js'
import { type ConcretePermission, matchesPermission } from './permission.js'
import type { ActionOf, ResourceOf, Resources } from './resources.js'
import type { Rule } from './rule.js'
import type { CheckPermission, CheckPermissions, Explanation, Me, WhoCanParams } from './schema.js'

export interface AskOptions {
  /** {@link defaultTenantId} unless told. */
  tenantId?: string | undefined
  /** Asks inside this transaction, and sees what it changed. */
  tx?: Tx | undefined
}

export interface CheckOptions extends AskOptions {
  /** The row that it is about, for rights over some rows. */
  row?: object | undefined
  /** The fields that are read or written, for rights over some fields. */
  fields?: readonly string[] | undefined
}

/** One question of `checkMany`. */
export type Check<R extends Resources, Asked extends ResourceOf<R> = ResourceOf<R>> = {
  [Resource in Asked]: {
    resource: Resource
    action: ActionOf<R, Resource>
    row?: object | undefined
    fields?: readonly string[] | undefined
  }
}[Asked]

export interface Permissions<R extends Resources> {
  /**
   * Whether a user may do this, by the roles held in the tenant. A right over some rows or some fields counts only when
   * `row` or `fields` say which.
   *
   * @throws ProblemError `invalid_input` for a resource or an action that the catalog does not know.
   */
  checkPermission<Resource extends ResourceOf<R>>(
    userId: string,
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: CheckOptions,
  ): Promise<boolean>
  /**
   * Many questions about one user, answered in their order.
   *
   * @throws ProblemError `invalid_input` as `checkPermission`.
   */
  checkMany<Asked extends ResourceOf<R>>(
    userId: string,
    checks: readonly Check<R, Asked>[],
    options?: AskOptions,
  ): Promise<boolean[]>
  /**
   * All that a user's roles grant on every row and field, as a sorted list without wildcards: an owner's is the whole
   * catalog.
   */
  getUserPermissions(userId: string, options?: AskOptions): Promise<ConcretePermission<R>[]>
  /** The user's CASL ability in a tenant, for CASL's own tools. It says no to whatever the catalog does not know. */
  abilityFor(who: { userId: string } & AskOptions): Promise<RbacAbility<R>>
  /**
   * Why: the decision, and the rule, role, assignment and policy version behind it; after a no also the roles that would
   * have allowed it.
   *
   * @throws ProblemError `invalid_input` as `checkPermission`.
   */
  explain<Resource extends ResourceOf<R>>(
    userId: string,
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: CheckOptions,
  ): Promise<Explanation>
  /**
   * The ids of all users who may do this in the tenant, sorted; with `row` or `fields`, on that row and those fields.
   *
   * @throws ProblemError `invalid_input` as `checkPermission`.
   */
  whoCan<Resource extends ResourceOf<R>>(
    resource: Resource,
    action: ActionOf<R, Resource>,
    options?: CheckOptions,
  ): Promise<string[]>
}

/** What the routes and the request context ask beyond that. */
export interface OwnPermissions {
  /** At once if it is remembered. */
  abilityOf(tenantId: string, userId: string, tx: Tx | undefined): MongoAbility | Promise<MongoAbility>
  me(context: RequestContext): Promise<Me>
  check(context: RequestContext, question: CheckPermission): Promise<{ allowed: boolean }>
  checkAll(context: RequestContext, questions: CheckPermissions): Promise<{ allowed: boolean[] }>
  explainTo(context: RequestContext, question: CheckPermission): Promise<Explanation>
  whoCanOf(context: RequestContext, question: WhoCanParams): Promise<Page<{ userId: string }>>
}

const yes = Promise.resolve(true)
const no = Promise.resolve(false)

export function createPermissions<R extends Resources>(
  deps: Pick<Deps, 'storage' | 'runtime' | 'catalog' | 'roles' | 'access'>,
): Permissions<R> & OwnPermissions {
  const { storage, runtime, catalog, roles, access } = deps

  async function accessOf(userId: string, { tenantId = defaultTenantId, tx }: AskOptions): Promise<Access> {
    // Whoever is remembered has an id that was checked.
    const known = tx ? null : access.known(tenantId, userId)
    if (known) return known
    checkUser(userId, tenantId)
    return access.of({ tenantId, actor: { type: 'user', id: userId } }, tx)
  }

  async function check(userId: string, resource: string, action: string, options: CheckOptions): Promise<boolean> {
    catalog.check(resource, action)
    const { ability, decisions } = await accessOf(userId, options)
    const { row, fields } = options
    const isWhole = row === undefined && fields === undefined
    return isWhole ? decisions.allows(resource, action) : allows(ability, action, resource, options)
  }

  /** The ability that answers a caller's question: their own, or, for whoever may read the team, a member's. */
  async function abilityAsked(context: RequestContext, userId: string | undefined): Promise<Ability> {
    const { tenantId, actor, ability, tx } = context
    if (userId === undefined || (actor.type === 'user' && userId === actor.id)) return ability
    authorize(context, 'read', 'team')
    return (await accessOf(userId, { tenantId, tx })).ability
  }

  async function explanation(actor: Actor, resource: string, action: string, ask: CheckOptions): Promise<Explanation> {
    const { tenantId = defaultTenantId, tx, ...about } = ask
    catalog.check(resource, action)
    checkUser(actor.id, tenantId)
    return storage.read(async (stores) => {
      const book = roles.with(await stores.policies.current(tenantId))
      const authority = await loadAuthority(stores, roles, { tenantId, actor }, { now: runtime.clock.now() })
      // For a key it is its maker whose roles are asked.
      const { userId } = authority
      const [suspended] = await stores.members.suspended(tenantId, [userId])
      const assignments = await stores.assignments.ofUser(tenantId, userId)
      const own = { authority, ...createAbility(catalog, authority) }
      const asked = { access: own, resource, action, about, book, assignments, suspended: suspended !== undefined }
      return explain(catalog, asked)
    }, tx)
  }

  async function usersWho(resource: string, action: string, ask: CheckOptions): Promise<string[]> {
    const { tenantId = defaultTenantId, tx, ...about } = ask
    catalog.check(resource, action)
    parse(ExternalId, tenantId, '/tenantId')
    return storage.read(async (stores) => {
      const book = roles.with(await stores.policies.current(tenantId))
      const bears = ({ permission }: Rule) => matchesPermission(permission, resource, action)
      const bearing = book.every().filter((role) => book.resolve(role).some(bears))
      const ids = bearing.map(({ id }) => id)
      const found = unexpired(await stores.assignments.ofRoles(tenantId, ids), runtime.clock.now())
      const byUser = new Map<string, Assignment[]>()
      for (const one of found) byUser.set(one.userId, [...(byUser.get(one.userId) ?? []), one])
      const suspended = new Set(await stores.members.suspended(tenantId, [...byUser.keys()]))
      const decided = new Map<string, boolean>()
      const may = ([userId, held]: [string, Assignment[]]) => {
        // Whose roles are the same may the same, but about a row, which may be somebody's own.
        const alike = about.row === undefined ? JSON.stringify(held.map(({ roleId, on }) => [roleId, on])) : userId
        const allowed = decided.get(alike) ?? allowedBy(userId, held)
        decided.set(alike, allowed)
        return allowed && !suspended.has(userId)
      }
      const allowedBy = (userId: string, held: Assignment[]) => {
        const actor = { type: 'user' as const, id: userId }
        const { ability } = createAbility(catalog, authorityOf(book, { tenantId, actor, userId }, held))
        return allows(ability, action, resource, about)
      }
      return [...byUser]
        .filter(may)
        .map(([userId]) => userId)
        .sort()
    }, tx)
  }

  return {
    abilityOf(tenantId, userId, tx) {
      const known = tx ? null : access.known(tenantId, userId)
      if (known) return known.ability
      return access.of({ tenantId, actor: { type: 'user', id: userId } }, tx).then(({ ability }) => ability)
    },

    // Not async, and asks for nothing twice: hosts call this many times a request.
    checkPermission(userId, resource, action, options = {}) {
      // Null, which comes from JavaScript, is for the long way to refuse.
      if (options && options.tx === undefined && options.row === undefined && options.fields === undefined) {
        const { tenantId = defaultTenantId } = options
        const made = access.known(tenantId, userId)?.decisions.made(resource, action)
        if (made !== undefined) return made ? yes : no
      }
      return check(userId, resource, action, options)
    },

    async checkMany(userId, checks, ask = {}) {
      for (const { resource, action } of checks) catalog.check(resource, action)
      const { ability } = await accessOf(userId, ask)
      return checks.map(({ resource, action, ...about }) => allows(ability, action, resource, about))
    },

    async getUserPermissions(userId, ask = {}) {
      const { ability } = await accessOf(userId, ask)
      // The catalog was made from R, so that its permissions are R's.
      return catalog.allowedBy(ability) as ConcretePermission<R>[]
    },

    async abilityFor({ userId, ...ask }) {
      return (await accessOf(userId, ask)).ability as unknown as RbacAbility<R>
    },

    explain: (id, resource, action, ask = {}) => explanation({ type: 'user', id }, resource, action, ask),

    whoCan: async (resource, action, ask = {}) => usersWho(resource, action, ask),

    async me({ tenantId, actor, ability: own, tx }) {
      const { authority, ability } = await access.of({ tenantId, actor }, tx)
      const rules = packRules(ability.rules)
      return { tenantId, actor, roles: [...authority.roles], permissions: catalog.allowedBy(own), rules }
    },

    async check(context, { userId, resource, action, ...about }) {
      catalog.check(resource, action)
      return { allowed: allows(await abilityAsked(context, userId), action, resource, about) }
    },

    async checkAll(context, { userId, checks }) {
      for (const { resource, action } of checks) catalog.check(resource, action)
      const ability = await abilityAsked(context, userId)
      return { allowed: checks.map(({ resource, action, ...about }) => allows(ability, action, resource, about)) }
    },

    async explainTo(context, { userId, resource, action, ...about }) {
      const { tenantId, actor, tx } = context
      const oneself = userId === undefined || (actor.type === 'user' && userId === actor.id)
      if (!oneself) authorize(context, 'read', 'team')
      return explanation(oneself ? actor : { type: 'user', id: userId }, resource, action, { tenantId, tx, ...about })
    },

    async whoCanOf({ tenantId, tx }, { resource, action, ...page }) {
      const users = await usersWho(resource, action, { tenantId, tx })
      const slice = async ({ limit, after }: Slice) =>
        users.filter((userId) => after === null || userId > after[0]).slice(0, limit)
      const { data, next } = await paginate(page, ['string'], slice, (userId) => [userId])
      return { data: data.map((userId) => ({ userId })), next }
    },
  }
}

function checkUser(userId: string, tenantId: string): void {
  parse(ExternalId, userId, '/userId')
  parse(ExternalId, tenantId, '/tenantId')
}
