/** What a role is worth, and whether it is worth the same under another version. */
import canonicalize from 'canonicalize'
import type { Rule } from '../permissions/rule.js'
import { ownRules, type RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'

/** A role that is worth something else from one version to another, by its id. */
export interface ChangedRole {
  id: string
  key: string
  /** Null if there was none of this id. */
  before: Role | null
  after: Role | null
  /** Whether it takes something away now that it did not take before. */
  deniesMore: boolean
}

/** The roles whose rules differ, their own or what they inherit; also those that come and go. */
export function changedInEffect(before: RoleBook, after: RoleBook): ChangedRole[] {
  const rulesOf = writtenOut()
  const [worthBefore, worthAfter] = [worthUnder(before, rulesOf), worthUnder(after, rulesOf)]
  const ids = new Set([...before.every(), ...after.every()].map(({ id }) => id))
  return [...ids].flatMap((id) => {
    const [was, is] = [before.byId(id), after.byId(id)]
    const [old, own] = [worthBefore(was), worthAfter(is)]
    const same = was && is && old.size === own.size && [...own.keys()].every((text) => old.has(text))
    if (same) return []
    const deniesMore = [...own].some(([text, effect]) => effect === 'deny' && !old.has(text))
    return [{ id, key: (is ?? was)?.key ?? id, before: was, after: is, deniesMore }]
  })
}

/** Rules by what they say. */
type Worth = ReadonlyMap<string, Rule['effect']>

/** Each role's own rules are written out once, however many inherit them. */
function writtenOut(): (role: Role) => Worth {
  const known = new Map<Role, Worth>()
  return (role) => {
    const found = known.get(role)
    if (found) return found
    const made = new Map(ownRules(role).map((rule) => [canonicalize(rule) ?? '', rule.effect]))
    known.set(role, made)
    return made
  }
}

function worthUnder(book: RoleBook, rulesOf: (role: Role) => Worth): (role: Role | null) => Worth {
  return (role) => {
    const worth = new Map<string, Rule['effect']>()
    const seen = new Set<Role>()
    const walk = (one: Role) => {
      if (seen.has(one)) return
      seen.add(one)
      for (const [text, effect] of rulesOf(one)) worth.set(text, effect)
      for (const key of one.inherits) {
        const parent = book.get(key)
        if (parent) walk(parent)
      }
    }
    if (role) walk(role)
    return worth
  }
}
