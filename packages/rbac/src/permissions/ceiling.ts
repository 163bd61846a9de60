/** One ceiling for whoever hands out or takes away rights: nobody reaches above what they hold themselves. */
import { type Scope, systemActor } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import { loadAuthority } from './authority.js'
import { covers, createReader, overlaps, type Read } from './covering.js'
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
      const lacking = createLacking(rules)
      const missing = [...new Set(sets.flatMap(lacking))]
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

/** Answers what of a set is not covered by what is held, each described once. */
export function createLacking(held: readonly HeldRule[]): (wanted: readonly WantedRule[]) => string[] {
  const read = createReader()
  const own = held.map(read)
  const allows = own.filter(({ rule }) => rule.effect === 'allow')
  const denies = own.filter(({ rule }) => rule.effect === 'deny')
  // Roles that inherit the same want the same.
  const allowed = new Map<string, boolean>()
  const isAllowed = (wanted: Read<WantedRule>): boolean => {
    const name = `${endOf(wanted.rule)} ${wanted.text}`
    const found =
      allowed.get(name) ?? allows.some((one) => covers(one, wanted) && endOf(one.rule) >= endOf(wanted.rule))
    allowed.set(name, found)
    return found
  }

  return (wanted) => {
    const all = wanted.map(read)
    const handedOn = all.filter(({ rule }) => rule.effect === 'deny')
    const ends = new Map<string, number>()
    /** Until when what it denies is denied to whoever gets the set. */
    const handedOnUntil = (deny: Read<HeldRule>): number => {
      const found = ends.get(deny.text)
      if (found !== undefined) return found
      const until = handedOn.reduce((end, one) => (covers(one, deny) ? Math.max(end, endOf(one.rule)) : end), 0)
      ends.set(deny.text, until)
      return until
    }
    const freed = new Map<string, number>()
    /** From when it would not be denied although the actor is; never is infinity. */
    const freedFrom = (allow: Read<WantedRule>): number => {
      const { permission } = allow.rule
      const found = freed.get(permission)
      if (found !== undefined) return found
      const gaps = denies.filter((deny) => overlaps(deny, allow) && handedOnUntil(deny) < endOf(deny.rule))
      const from = gaps.reduce((first, deny) => Math.min(first, handedOnUntil(deny)), Number.POSITIVE_INFINITY)
      freed.set(permission, from)
      return from
    }
    const missing = all.filter(
      (one) => one.rule.effect === 'allow' && !(isAllowed(one) && freedFrom(one) >= endOf(one.rule)),
    )
    return [...new Set(missing.map(({ rule }) => describeRule(rule)))]
  }
}

/** Epoch milliseconds; infinity for never. */
function endOf({ expiresAt = null }: WantedRule): number {
  return expiresAt ?? Number.POSITIVE_INFINITY
}

/** Answers what a role no longer takes away, as the rights that its members get back, within what it denies still. */
export function createLifted(): (before: readonly Rule[], after: readonly Rule[]) => WantedRule[] {
  const read = createReader()
  const isDeny = ({ effect }: Rule) => effect === 'deny'
  return (before, after) => {
    const denies = after.filter(isDeny)
    const still = denies.map(read)
    const texts = new Set(still.map(({ text }) => text))
    const lifted = before.filter(isDeny).filter((rule) => {
      const own = read(rule)
      return !texts.has(own.text) && !still.some((deny) => covers(deny, own))
    })
    return lifted.length > 0 ? [...lifted.map((rule) => ({ ...rule, effect: 'allow' as const })), ...denies] : []
  }
}
