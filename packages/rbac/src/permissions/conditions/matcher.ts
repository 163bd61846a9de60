/** Evaluates conditions on rows in memory, just as `accessibleBy` does in SQL. */
import { buildMongoQueryMatcher, type ConditionsMatcher, type MongoQuery } from '@casl/ability'
import { coreErrors } from '@org/core'
import { isField } from './schema.js'
import { ours, parsing, termsOf } from './terms.js'
import { compare, isEqual, type Scalar } from './values.js'

type Row = Record<string, unknown>

interface Node<Value> {
  field: string
  value: Value
}

const isOneOf = ({ field, value }: Node<Scalar[]>, row: Row) => value.some((wanted) => isEqual(row[field], wanted))

/** In place of CASL's, which take null for zero, 1 for not true and lists for any of their items. */
const interpreters = {
  eq: ({ field, value }: Node<Scalar>, row: Row) => isEqual(row[field], value),
  ne: ({ field, value }: Node<Scalar>, row: Row) => !isEqual(row[field], value),
  in: isOneOf,
  nin: (node: Node<Scalar[]>, row: Row) => !isOneOf(node, row),
  lt: ({ field, value }: Node<string | number>, row: Row) => compare(row[field], value) < 0,
  lte: ({ field, value }: Node<string | number>, row: Row) => compare(row[field], value) <= 0,
  gt: ({ field, value }: Node<string | number>, row: Row) => compare(row[field], value) > 0,
  gte: ({ field, value }: Node<string | number>, row: Row) => compare(row[field], value) >= 0,
}

const build = buildMongoQueryMatcher({}, interpreters as unknown as Parameters<typeof buildMongoQueryMatcher>[1])

/**
 * For CASL's `conditionsMatcher`: the operators of the condition language, and values compared as SQL compares them.
 * Give it to an ability of your own, `createMongoAbility(rules, { conditionsMatcher })`, and `accessibleBy` selects
 * exactly the rows that the ability allows.
 *
 * @throws ProblemError `setup_error` for conditions that it does not know, where CASL would let a deny pass; and, when a
 *   row is looked at, for a field that holds a Date, a list or an object.
 */
export const conditionsMatcher: ConditionsMatcher<MongoQuery> = (conditions) => {
  const fields = Object.keys(conditions)
  const strange = fields.find((field) => !isField(field))
  if (fields.length === 0 || strange !== undefined) {
    throw coreErrors.setup_error({ detail: `A rule has conditions on "${strange ?? ''}", which is no field.` })
  }
  const matches = parsing(() => build(conditions))
  if (!matches.ast) throw coreErrors.setup_error({ detail: 'A rule has conditions that CASL cannot parse.' })
  termsOf(matches.ast)
  matches.ast.addNote({ type: ours })
  return matches
}
