/** Yes or no, from any CASL ability. */
import type { Ability, RequestContext } from './context.js'
import { coreErrors, type ProblemError } from './errors.js'

/** What CASL's abilities have beyond our port: the rules that match, the one that decides first. */
interface Ruled {
  rulesFor(action: string, subject: string): readonly { inverted: boolean; conditions?: unknown }[]
}

/**
 * Whether an ability allows an action on a resource as a whole. Rules that depend on a row do not count: to CASL, "may
 * read some keys" is a yes to "may read keys", and a guard must not take it for one.
 */
export function allows(ability: Ability & Partial<Ruled>, action: string, resource: string): boolean {
  if (ability.can(action, resource) !== true) return false
  if (typeof ability.rulesFor !== 'function') return true
  for (const rule of ability.rulesFor(action, resource)) {
    if (!rule.conditions || rule.inverted) return !rule.inverted
  }
  return false
}

/** The 403 that names what is missing. */
export function forbidden(action: string, resource: string): ProblemError {
  return coreErrors.forbidden({
    detail: `This needs the permission ${resource}:${action}.`,
    extensions: { action, resource },
  })
}

/** @throws ProblemError `forbidden` (403) that names the action and the resource. */
export function authorize({ ability }: RequestContext, action: string, resource: string): void {
  if (!allows(ability, action, resource)) throw forbidden(action, resource)
}
