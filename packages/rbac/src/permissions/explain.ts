/** From a decision back to what it stands on: role, assignment, rule, policy version. */
import type { About } from '@org/core'
import { allows } from '@org/core'
import type { Access } from '../access.js'
import type { Assignment } from '../assignments/schema.js'
import { ownRules, type RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import { createAbility, type RuleOrigins } from './ability.js'
import type { Authority } from './authority.js'
import type { Catalog } from './catalog.js'
import { matchesPermission } from './permission.js'
import type { HeldRule } from './rule.js'
import type { Explanation, Ground } from './schema.js'

export interface Case {
  access: Pick<Access, 'authority' | 'ability'> & { origins: RuleOrigins }
  resource: string
  action: string
  about: About
  /** The roles that somebody could have. */
  book: RoleBook
  /** Those that were read, to say on what they are. */
  assignments: readonly Assignment[]
  suspended: boolean
}

export function explain(catalog: Catalog, asked: Case): Explanation {
  const { access, resource, action, about, book, assignments, suspended } = asked
  const { authority, ability, origins } = access
  const { tenantId, userId, roles, policyVersion } = authority
  const on = new Map(assignments.map((assignment) => [assignment.id, assignment.on]))
  const groundOf = ({ via, expiresAt, ...rule }: HeldRule): Ground => ({
    ...rule,
    ...via,
    path: [...via.path],
    on: (via.assignmentId && on.get(via.assignmentId)) || null,
  })

  const allowed = allows(ability, action, resource, about)
  const bearing = ability.possibleRulesFor(action, resource).flatMap((rule) => {
    const held = origins.get(rule.origin)
    return held ? [{ held, match: matchOf(rule, about) }] : []
  })
  // CASL's order is from the rule that decides first; people read in the order in which roles were given.
  const places = new Map(authority.rules.map((rule, place) => [rule, place]))
  const place = (rule: HeldRule) => places.get(rule) ?? 0
  const inOrder = [...bearing].sort((a, b) => place(a.held) - place(b.held))
  const matching = inOrder.filter(({ match }) => match === 'yes').map(({ held }) => groundOf(held))
  const decisive = bearing.find(({ held, match }) => match === 'yes' || (match === 'depends' && held.effect === 'deny'))
  const depends = !allowed && bearing.some(({ match }) => match === 'depends')
  const denied = decisive?.held.effect === 'deny' && decisive.match === 'yes'
  const reason = suspended ? 'suspended' : denied ? 'denied' : depends ? 'depends' : 'not_granted'
  return {
    allowed,
    reason: allowed ? 'granted' : reason,
    ...{ tenantId, userId, resource, action, policyVersion },
    // An allow for some of the fields that were asked about decides nothing.
    decidedBy: decisive && (allowed || decisive.held.effect === 'deny') ? groundOf(decisive.held) : null,
    grants: matching.filter(({ effect }) => effect === 'allow'),
    denies: matching.filter(({ effect }) => effect === 'deny'),
    roles: [...roles],
    wouldAllow: allowed ? [] : rolesThatAllow(catalog, book, authority, { resource, action, about }),
  }
}

/**
 * The keys of the roles that would each, by itself, allow this to somebody. Each role's own rules are compiled once,
 * however many roles inherit them.
 */
function rolesThatAllow(
  catalog: Catalog,
  book: RoleBook,
  { tenantId, userId }: Authority,
  { resource, action, about }: Pick<Case, 'resource' | 'action' | 'about'>,
): string[] {
  const held = book.every().flatMap((role) => {
    const via = { assignmentId: null, role: role.id, path: [] }
    const bearing = ownRules(role).filter(({ permission }) => matchesPermission(permission, resource, action))
    return bearing.map((rule): HeldRule => ({ ...rule, via, expiresAt: null }))
  })
  const { ability, origins } = createAbility(catalog, { rules: held, tenantId, userId })
  const compiled = ability.possibleRulesFor(action, resource)
  const byRole = new Map<string, (typeof compiled)[number][]>()
  for (const rule of compiled) {
    const id = origins.get(rule.origin)?.via.role ?? ''
    const own = byRole.get(id)
    if (own) own.push(rule)
    else byRole.set(id, [rule])
  }
  const mayWith = (role: Role) => {
    const rules = book.lineOf(role).flatMap(([{ id }]) => byRole.get(id) ?? [])
    const inOrder = [...rules.filter(({ inverted }) => inverted), ...rules.filter(({ inverted }) => !inverted)]
    return allows({ can: () => false, possibleRulesFor: () => inOrder }, action, resource, about)
  }
  return book
    .all()
    .filter(mayWith)
    .map(({ key }) => key)
}

interface Matchable {
  conditions?: unknown
  fields?: unknown
  matchesConditions(row: object): boolean
  matchesField(field: string): boolean
}

function matchOf(rule: Matchable, { row, fields }: About): 'yes' | 'no' | 'depends' {
  if (rule.conditions && !row) return 'depends'
  if (rule.conditions && row && !rule.matchesConditions(row)) return 'no'
  if (!rule.fields) return 'yes'
  if (!fields || fields.length === 0) return 'depends'
  return fields.some((field) => rule.matchesField(field)) ? 'yes' : 'no'
}
