/** What can be done, and with what: the names that guards, roles, abilities and types all come from. */
import { coreErrors } from '@org/core'

/** Resource names and their actions. */
export type Resources = Readonly<Record<string, readonly string[]>>

export type ResourceOf<R extends Resources> = keyof R & string
export type ActionOf<R extends Resources, Resource extends ResourceOf<R>> = R[Resource][number]

/**
 * Checks a catalog and keeps its names as types: `defineResources({ keys: ['create', 'read'], … })`.
 *
 * @throws ProblemError `setup_error` for a name that is not a letter followed by letters, digits, `_` or `-`, that is
 *   longer than 64 characters or that CASL reads in its own way (`all`, `manage`), and for a resource without actions.
 */
export function defineResources<const R extends Resources>(resources: R): R {
  for (const [resource, actions] of Object.entries(resources)) {
    checkName('resource', resource)
    for (const action of actions) checkName('action', action)
    if (actions.length === 0) throw coreErrors.setup_error({ detail: `The resource "${resource}" has no actions.` })
  }
  return resources
}

/** `all` and `manage` are CASL's wildcards; `Object` is what it takes an untagged row for. */
const reserved = new Set(['all', 'manage', 'Object'])

/** Names are joined with `:` in permissions and with `,` in CASL's packed rules, so they hold neither. */
export function isName(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name) && !reserved.has(name)
}

export function checkName(kind: string, name: string): void {
  if (isName(name)) return
  throw coreErrors.setup_error({
    detail:
      `The ${kind} name "${name}" cannot be used: write a letter and then at most 63 letters, digits, "_" or "-"; ` +
      `${[...reserved].join(', ')} are reserved.`,
  })
}
