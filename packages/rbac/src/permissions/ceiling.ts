/** One ceiling for whoever hands out or takes away rights: nobody reaches above what they hold themselves. */
import { type Scope, systemActor } from '@org/core'
import canonicalize from 'canonicalize'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import { loadAuthority } from './authority.js'
import { hasPermission, matchesPermission, parsePermission } from './permission.js'
import { describeRule, type HeldRule, type Rule } from './rule.js'

/** A right that is to be somebody's. */
export interface WantedRule extends Rule {
  /** When it ends, in epoch milliseconds; never unless told. */
  expiresAt?: number | null
}

export type Ceiling = ReturnType<typeof createCeiling>

export function createCeiling({ roles, runtime }: Pick<Deps, 'roles' | 'runtime'>) {
  return {
    /**
     * Refuses unless the actor holds all that is to be handed out: each allow under an allow that is as wide, as long
     * and about as many rows and fields, and every deny of the actor's handed on with it, for as long. A wildcard is covered by a
     * wildcard only, so that a right added to the catalog later lifts nobody above who gave it. The host's own code
     * (`system`) has no ceiling.
     *
     * @throws ProblemError `exceeds_own_rights` with `missing`, what the actor lacks.
     */
    require(scope: Scope, stores: RbacStores, wanted: readonly WantedRule[], what: string): Promise<void> {
      return this.requireEach(scope, stores, [wanted], what)
    },

    /**
     * The same for several sets that nobody has to hold together: a deny in one set is not handed on by another.
     *
     * @throws ProblemError `exceeds_own_rights`.
     */
    async requireEach(
      scope: Scope,
      stores: RbacStores,
      sets: readonly (readonly WantedRule[])[],
      what: string,
    ): Promise<void> {
      const { tenantId, actor = systemActor } = scope
      if (actor.type === 'system' || sets.every((wanted) => wanted.length === 0)) return
      const options = { lock: true, now: runtime.clock.now() }
      const { rules } = await loadAuthority(stores, roles, { tenantId, actor }, options)
      const missing = [...new Set(sets.flatMap((wanted) => lacking(rules, wanted)))]
      if (missing.length === 0) return
      throw rbacErrors.exceeds_own_rights({
        detail: `${what} holds ${missing.join(', ')}, which you do not.`,
        extensions: { missing },
      })
    },
  }
}

/** What roles are worth to whoever gets them. */
export function rulesOfRoles(book: RoleBook, roles: readonly Role[], expiresAt: number | null = null): WantedRule[] {
  return roles.flatMap((role) => book.resolve(role).map(({ path, ...rule }) => ({ ...rule, expiresAt })))
}

/** What of `wanted` is not covered by what is held, each described once. */
export function lacking(held: readonly HeldRule[], wanted: readonly WantedRule[]): string[] {
  const allows = held.filter(({ effect }) => effect === 'allow')
  const denies = held.filter(({ effect }) => effect === 'deny')
  const handedOn = wanted.filter(({ effect }) => effect === 'deny')
  const missing = wanted.filter(
    (rule) =>
      rule.effect === 'allow' &&
      !(
        allows.some((own) => covers(own, rule) && lasts(own, rule)) &&
        denies.every(
          (own) => !overlaps(own, rule) || handedOn.some((deny) => covers(deny, own) && outlasts(deny, own, rule)),
        )
      ),
  )
  return [...new Set(missing.map(describeRule))]
}

/** What a role no longer takes away, as the rights that its members are given back, within what it denies still. */
export function liftedBy(before: readonly Rule[], after: readonly Rule[]): WantedRule[] {
  const denies = after.filter(({ effect }) => effect === 'deny')
  const lifted = before.filter((rule) => rule.effect === 'deny' && !denies.some((deny) => covers(deny, rule)))
  return lifted.length > 0 ? [...lifted.map((rule) => ({ ...rule, effect: 'allow' as const })), ...denies] : []
}

/** Whether one rule is about all that another is about. */
function covers(wide: Rule, narrow: Rule): boolean {
  const parts = parsePermission(narrow.permission)
  if (!parts || !hasPermission([wide.permission], parts.resource, parts.action)) return false
  if (wide.when && canonicalize(wide.when) !== canonicalize(narrow.when)) return false
  return !wide.fields || (narrow.fields?.every((field) => wide.fields?.includes(field)) ?? false)
}

function lasts(own: HeldRule, { expiresAt = null }: WantedRule): boolean {
  return own.expiresAt === null || (expiresAt !== null && expiresAt <= own.expiresAt)
}

/** Whether a deny that is handed on holds until the actor's own has ended, or what is allowed with it has. */
function outlasts({ expiresAt = null }: WantedRule, own: HeldRule, allow: WantedRule): boolean {
  if (expiresAt === null) return true
  return [own.expiresAt, allow.expiresAt ?? null].some((end) => end !== null && end <= expiresAt)
}

/** Whether two permissions have one in common. */
function overlaps(one: Rule, other: Rule): boolean {
  const a = parsePermission(one.permission)
  const b = parsePermission(other.permission)
  if (!a || !b) return false
  const resource = a.resource === '*' ? b.resource : a.resource
  const action = a.action === '*' ? b.action : a.action
  return matchesPermission(one.permission, resource, action) && matchesPermission(other.permission, resource, action)
}
