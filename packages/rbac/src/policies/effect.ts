/** What a role is worth, and whether it is worth the same under another version. */
import canonicalize from 'canonicalize'
import type { WantedRule } from '../permissions/ceiling.js'
import { rulesOfRoles } from '../permissions/ceiling.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'

/** A role that is worth something else from one version to another, by its id. */
export interface ChangedRole {
  id: string
  key: string
  /** Null if there was none of this id. */
  before: Role | null
  after: Role | null
  /** All that it gives, inherited or not. */
  rulesBefore: readonly WantedRule[]
  rulesAfter: readonly WantedRule[]
}

/** The roles whose rules differ, their own or what they inherit; also those that come and go. */
export function changedInEffect(before: RoleBook, after: RoleBook): ChangedRole[] {
  const ids = new Set([...before.every(), ...after.every()].map(({ id }) => id))
  return [...ids].flatMap((id) => {
    const [was, is] = [before.byId(id), after.byId(id)]
    const rulesBefore = was ? rulesOfRoles(before, [was]) : []
    const rulesAfter = is ? rulesOfRoles(after, [is]) : []
    const same = was && is && worthOf(rulesBefore) === worthOf(rulesAfter)
    const key = (is ?? was)?.key ?? id
    return same ? [] : [{ id, key, before: was, after: is, rulesBefore, rulesAfter }]
  })
}

function worthOf(rules: readonly WantedRule[]): string {
  return [...new Set(textsOf(rules))].sort().join('\n')
}

function textsOf(rules: readonly WantedRule[]): string[] {
  return rules.map((rule) => canonicalize(rule) ?? '')
}

/** Whether a role takes something away now that it did not take before. */
export function deniesMore({ rulesBefore, rulesAfter }: ChangedRole): boolean {
  const denies = (rules: readonly WantedRule[]) => textsOf(rules.filter(({ effect }) => effect === 'deny'))
  const earlier = new Set(denies(rulesBefore))
  return denies(rulesAfter).some((text) => !earlier.has(text))
}
