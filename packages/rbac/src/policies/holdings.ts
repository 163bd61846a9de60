/** What assignments are worth to whoever has them, permission by permission, for comparing two versions. */
import type { Instance } from '../assignments/schema.js'
import { matchesPermission } from '../permissions/permission.js'
import type { Rule } from '../permissions/rule.js'
import type { RoleBook } from '../roles/book.js'

/** An assignment, as far as it matters here. */
export interface Held {
  roleId: string
  on: Instance | null
}

interface Holding {
  /** Held on every row and field. */
  full: boolean
  /** Denied on every row and field. */
  denied: boolean
  /** Where it is held: `when {…}`, `fields …`, `on posts p1`. */
  allows: Set<string>
  /** Where it is denied. */
  denies: Set<string>
}

/** By concrete permission: `posts:update`. */
export type Holdings = Map<string, Holding>

/** Remembers what each role is worth: members have many assignments of few roles. */
export function holdingsUnder(book: RoleBook, concrete: readonly string[]): (held: readonly Held[]) => Holdings {
  const known = new Map<string, Holdings>()
  const matching = new Map<string, readonly string[]>()
  /** The concrete permissions that a rule is about: many rules have the same few. */
  const within = (permission: string): readonly string[] => {
    const found = matching.get(permission) ?? concrete.filter((one) => isWithin(one, permission))
    matching.set(permission, found)
    return found
  }
  const ofOne = ({ roleId, on }: Held): Holdings => {
    const name = JSON.stringify([roleId, on])
    const found = known.get(name)
    if (found) return found
    const role = book.byId(roleId)
    const made: Holdings = new Map()
    for (const rule of role ? book.resolve(role) : []) add(made, rule, on, within(rule.permission))
    known.set(name, made)
    return made
  }
  return (held) => merged(held.map(ofOne))
}

function isWithin(concrete: string, permission: string): boolean {
  const [resource = '', action = ''] = concrete.split(':')
  return matchesPermission(permission, resource, action)
}

function add(into: Holdings, rule: Rule, on: Instance | null, concrete: readonly string[]): void {
  const where = whereOf(rule, on)
  for (const permission of concrete) {
    if (on && !isWithin(permission, `${on.resource}:*`)) continue
    const holding = into.get(permission) ?? { full: false, denied: false, allows: new Set(), denies: new Set() }
    into.set(permission, holding)
    if (where !== '') holding[rule.effect === 'allow' ? 'allows' : 'denies'].add(where)
    else holding[rule.effect === 'allow' ? 'full' : 'denied'] = true
  }
}

/** Empty for everywhere. */
function whereOf({ when, fields }: Rule, on: Instance | null): string {
  return [
    ...(on ? [`on ${on.resource} ${on.id}`] : []),
    ...(fields ? [`fields ${[...fields].sort().join(', ')}`] : []),
    ...(when ? [`when ${JSON.stringify(when)}`] : []),
  ].join(' ')
}

function merged(all: readonly Holdings[]): Holdings {
  const [first] = all
  if (first && all.length === 1) return first
  const sum: Holdings = new Map()
  for (const holdings of all) {
    for (const [permission, { full, denied, allows, denies }] of holdings) {
      const own = sum.get(permission)
      sum.set(permission, {
        full: full || (own?.full ?? false),
        denied: denied || (own?.denied ?? false),
        allows: new Set([...(own?.allows ?? []), ...allows]),
        denies: new Set([...(own?.denies ?? []), ...denies]),
      })
    }
  }
  return sum
}

/** What somebody gains, and by the arguments the other way round, what they lose. Sorted. */
export function gained(before: Holdings, after: Holdings): string[] {
  const lines: string[] = []
  for (const [permission, is] of after) {
    if (is.denied) continue
    const was = before.get(permission)
    const held = was !== undefined && !was.denied
    const line = (where: string) => lines.push(`${permission} ${where}`)
    if (is.full) {
      if (!held || !was.full) lines.push(permission + except([...is.denies, ...(held ? was.allows : [])]))
      // A deny that is no more gives back what it took.
      else for (const where of was.denies) if (!is.denies.has(where)) line(where)
      continue
    }
    if (held && was.full) continue
    for (const where of is.allows) if (!held || !was.allows.has(where)) line(where)
    if (held && is.allows.size > 0) for (const where of was.denies) if (!is.denies.has(where)) line(where)
  }
  return [...new Set(lines)].sort()
}

function except(places: readonly string[]): string {
  return places.length > 0 ? ` except ${[...new Set(places)].sort().join('; ')}` : ''
}
