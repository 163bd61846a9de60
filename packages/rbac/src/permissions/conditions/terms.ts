/** What a rule's conditions come to, for whoever evaluates or compiles them. */
import type { MatchConditions } from '@casl/ability'
import { coreErrors, isProblem, Text } from '@org/core'
import { operators } from './schema.js'
import type { Scalar } from './values.js'

/** How CASL parses conditions: https://github.com/stalniy/ucast. */
export type Ast = NonNullable<MatchConditions['ast']>

type Comparison = 'lt' | 'lte' | 'gt' | 'gte'

/** One thing that is said of one field. */
export type Term =
  | { field: string; test: 'equal'; values: readonly Scalar[]; negated: boolean }
  | { field: string; test: Comparison; value: string | number; orNull: boolean }

/** On the syntax tree of conditions that our own matcher evaluates. */
export const ours = '@org/rbac'

/**
 * All that a rule says of a row, every term of which must hold.
 *
 * @throws ProblemError `setup_error` for anything beyond the condition language. Nothing is left out: a condition fewer
 *   makes an allow wider.
 */
export function termsOf(ast: Ast, exact = ast.notes?.some(({ type }) => type === ours) === true): Term[] {
  const { operator, value } = ast
  if (operator === 'and' && Array.isArray(value)) return value.flatMap((part: Ast) => termsOf(part, exact))
  const field = 'field' in ast && typeof ast.field === 'string' ? ast.field : ''
  switch (operator) {
    case 'eq':
    case 'ne':
      return [{ field, test: 'equal', values: [scalar(value, field)], negated: operator === 'ne' }]
    case 'in':
    case 'nin': {
      const values = Array.isArray(value) ? value.map((item) => scalar(item, field)) : refuse(field, value)
      return [{ field, test: 'equal', values, negated: operator === 'nin' }]
    }
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': {
      const limit = scalar(value, field)
      if (typeof limit !== 'string' && typeof limit !== 'number') return refuse(field, value)
      return [{ field, test: operator, value: limit, orNull: !exact && comparesNull(operator, limit) }]
    }
    default:
      throw coreErrors.setup_error({
        detail: `A rule has a condition with "${operator}"; known operators: ${operators.join(', ')}.`,
      })
  }
}

/** CASL's parser refuses some things in words of its own. @throws ProblemError `setup_error` */
export function parsing<Result>(parse: () => Result): Result {
  try {
    return parse()
  } catch (cause) {
    if (isProblem(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw coreErrors.setup_error({ detail: `A rule has conditions that CASL cannot parse: ${why}.`, cause })
  }
}

/** CASL's own matcher, in abilities that a host makes itself, takes null for zero, and for less than any text. */
function comparesNull(operator: Comparison, limit: string | number): boolean {
  const above = 0 > Number(limit)
  return operator === 'gt' || operator === 'gte' ? above : !above
}

function scalar(value: unknown, field: string): Scalar {
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
    return value
  return typeof value === 'string' && Text.safeParse(value).success ? value : refuse(field, value)
}

function refuse(field: string, value: unknown): never {
  const kind = typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : typeof value
  throw coreErrors.setup_error({
    detail:
      `A rule compares "${field}" with what is not text, a number, a boolean or null (${kind}), ` +
      `or by an operator that does not exist; known operators: ${operators.join(', ')}.`,
  })
}
