/** From an ability's rules to the predicate that holds for the rows that they allow. */
import { coreErrors } from '@org/core'
import { type Ast, parsing, type Term, termsOf } from '../permissions/conditions/terms.js'
import type { Scalar } from '../permissions/conditions/values.js'
import type { Comparisons } from './comparisons.js'
import { allOf, anyOf, identifier, not, type Predicate, sql } from './sql.js'

/** What is read of CASL's rules. */
export interface AbilityRule {
  readonly inverted: boolean
  readonly conditions?: unknown
  /** The conditions as they were parsed. */
  readonly ast?: Ast | undefined
}

interface Target {
  comparisons(field: string): Comparisons
  /** @throws ProblemError `setup_error` for a field that is no column. */
  column(field: string): string
}

/**
 * CASL takes the rules from the highest priority on, and the first that matches decides. So, from the lowest on: an
 * allow adds the rows that it matches to those allowed below it, and a deny takes them away.
 */
export function allowedBy(rules: readonly AbilityRule[], target: Target): Predicate {
  return runsOf(rules).reduceRight<Predicate>((below, run) => {
    const matched = matchedBy(run, target)
    return run[0]?.inverted ? allOf([not(matched), below]) : anyOf([matched, below])
  }, false)
}

/** Neighbors of one effect, whose order among themselves does not matter. */
function runsOf(rules: readonly AbilityRule[]): AbilityRule[][] {
  const runs: AbilityRule[][] = []
  for (const rule of rules) {
    const run = runs.at(-1)
    if (run && run[0]?.inverted === rule.inverted) run.push(rule)
    else runs.push([rule])
  }
  return runs
}

/** Rules on one field alone come to one list: a grant on each of a thousand rows is one `in`. */
function matchedBy(rules: readonly AbilityRule[], target: Target): Predicate {
  const predicates: Predicate[] = []
  const lists = new Map<string, Scalar[]>()
  for (const rule of rules) {
    const terms = rule.conditions ? termsOf(parsed(rule)) : []
    const [term] = terms
    if (terms.length === 1 && term?.test === 'equal' && !term.negated) {
      const values = lists.get(term.field)
      if (values) values.push(...term.values)
      else lists.set(term.field, [...term.values])
    } else {
      predicates.push(allOf(terms.map((one) => holds(one, target))))
    }
  }
  const listed = [...lists].map(([field, values]) => holds({ field, test: 'equal', values, negated: false }, target))
  return anyOf([...listed, ...predicates])
}

function parsed(rule: AbilityRule): Ast {
  const ast = parsing(() => rule.ast)
  if (ast) return ast
  throw coreErrors.setup_error({ detail: 'A rule has conditions in a form that cannot be turned into SQL.' })
}

const orders = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const

function holds(term: Term, target: Target): Predicate {
  const name = target.column(term.field)
  const comparisons = target.comparisons(term.field)
  const isNull = sql`${identifier(name)} is null`
  if (term.test === 'equal') {
    const texts = [...new Set(term.values.filter((value) => typeof value === 'string'))]
    const numbers = [...new Set(term.values.filter((value) => value !== null && typeof value !== 'string').map(Number))]
    const equals = anyOf([
      term.values.includes(null) && isNull,
      texts.length > 0 && comparisons.isText(name, texts),
      numbers.length > 0 && comparisons.isNumber(name, numbers),
    ])
    return term.negated ? not(equals) : equals
  }
  const order = orders[term.test]
  const compares =
    typeof term.value === 'string'
      ? comparisons.ordersText(name, order, term.value)
      : comparisons.ordersNumber(name, order, term.value)
  return anyOf([compares, term.orNull && isNull])
}
