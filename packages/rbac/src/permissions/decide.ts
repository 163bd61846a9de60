/** Yes or no, from any CASL ability. */
import { type Ability, coreErrors, type ProblemError } from '@org/core'
import { asSubject } from './ability.js'

/**
 * Whether an ability allows an action on a resource, or on one row of it. Without a row, rules that depend on the row
 * do not count: to CASL, "may read some keys" is a yes to "may read keys", and a guard must not take it for one.
 */
export function allows(ability: Ability, action: string, resource: string, row?: object | null): boolean {
  if (row === null) return false
  if (row !== undefined) return ability.can(action, asSubject(resource, row)) === true
  return ability.can(action, resource) === true && allowsEveryRow(ability, action, resource)
}

/** The 403 that names what is missing. */
export function forbidden(action: string, resource: string): ProblemError {
  return coreErrors.forbidden({
    detail: `This needs the permission ${resource}:${action}.`,
    extensions: { action, resource },
  })
}

/** What CASL's abilities have beyond core's port: the rules that match, the one that decides first. */
interface Ruled {
  rulesFor(action: string, subject: string): readonly { inverted: boolean; conditions?: unknown }[]
}

function allowsEveryRow(ability: Ability & Partial<Ruled>, action: string, resource: string): boolean {
  if (typeof ability.rulesFor !== 'function') return true
  for (const rule of ability.rulesFor(action, resource)) {
    if (!rule.conditions || rule.inverted) return !rule.inverted
  }
  return false
}
