/** Yes or no, from any CASL ability. */
import type { Ability, RequestContext } from './context.js'
import { coreErrors, type ProblemError } from './errors.js'

/** A rule as CASL's abilities hold it. */
interface Rule {
  readonly inverted: boolean
  readonly conditions?: unknown
  readonly fields?: unknown
  matchesConditions?(row: object): boolean
  matchesField?(field: string): boolean
}

/** What CASL's abilities have beyond our port: the rules that bear on a question, the one that decides first. */
interface Ruled {
  possibleRulesFor(action: string, subject: string): readonly Rule[]
  /** The same but for the denies of single fields; for abilities that only wrap one of CASL's. */
  rulesFor(action: string, subject: string): readonly Rule[]
}

/** What a question is about, beyond the resource as a whole. */
export interface About {
  /** One row of it. */
  row?: object | undefined
  /** The fields that are read or written; all of them unless told. */
  fields?: readonly string[] | undefined
}

/**
 * Whether an ability allows an action on a resource. A right that depends on what was not told does not count: to CASL,
 * "may read some keys" is a yes to "may read keys", and "may update the name" one to "may update". Here a right over
 * some rows counts only with a `row`, and a right over some fields only with `fields`; a deny over some counts always.
 */
export function allows(
  ability: Ability & Partial<Ruled>,
  action: string,
  resource: string,
  about: About = nothing,
): boolean {
  const { row, fields } = about
  // A row that was looked for and not found is not the resource as a whole.
  if (row === null) return false
  const rules = ability.possibleRulesFor?.(action, resource) ?? ability.rulesFor?.(action, resource)
  // An ability that shows no rules is taken at its word.
  const allowed = (field: string | undefined) =>
    rules ? decide(rules, row, field) : ability.can(action, row ?? resource, field) === true
  if (!fields || fields.length === 0) return allowed(undefined)
  // Not `every`, which passes over the holes of a list.
  for (const field of fields) if (!allowed(field)) return false
  return true
}

const nothing: About = Object.freeze({})

function decide(rules: readonly Rule[], row: object | undefined, field: string | undefined): boolean {
  for (const rule of rules) {
    const { inverted } = rule
    if (rule.conditions) {
      if (row && rule.matchesConditions ? !rule.matchesConditions(row) : !inverted) continue
    }
    if (rule.fields) {
      if (field !== undefined && rule.matchesField ? !rule.matchesField(field) : !inverted) continue
    }
    return !inverted
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
