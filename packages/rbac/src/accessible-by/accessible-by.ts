/** The rows that an ability allows, selected by the database. */
import { type Ability, coreErrors } from '@org/core'
import { dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'
import { isField } from '../permissions/conditions/schema.js'
import { type ColumnType, comparisonsOf } from './comparisons.js'
import { type AbilityRule, allowedBy } from './rules.js'

type Question<A extends Ability> = A extends { can(...args: infer Args): boolean } ? Args : never
type ResourceOf<A extends Ability> = Extract<Question<A>[1], string>
type ActionOf<A extends Ability, Resource> =
  Question<A> extends infer Asked
    ? Asked extends [infer Action, infer Subject, ...unknown[]]
      ? Resource extends Subject
        ? Action & string
        : never
      : never
    : never

export interface AccessibleByOptions {
  /** The table or alias that the columns are of. Read off the builder unless told. */
  table?: string
  /** The column of each field whose name is another: `{ authorId: 'author_id' }`. Knex's `wrapIdentifier` comes after. */
  columns?: Readonly<Record<string, string>>
  /**
   * What you know of the columns of some fields: `{ authorId: 'number' }`. It changes no answer, and lets the database
   * use the column's index. Not so if it is wrong: PostgreSQL then fails, and MySQL coerces.
   */
  types?: Readonly<Record<string, ColumnType>>
  /** Asks about this field of the rows, as `can(action, row, field)` does. */
  field?: string
}

/**
 * Narrows a query to the rows on which `ability` allows `action`: exactly those for which `can(action, row)` is true.
 * Takes any select, update or delete of the host's, with joins and in transactions, and answers the same builder.
 * Conditions that are there already are put in parentheses; an `orWhere` that comes after it would widen it again, so
 * narrow last. Without a rule that allows, no rows; with an allow without conditions, all of them.
 *
 * As in CASL, a rule about some fields gives access to the row if it allows, and hides no row if it denies, since it says
 * nothing about the row's other fields. To ask about one field, name it as `field`.
 *
 * Text is compared byte by byte, a missing value is NULL, and no column is coerced, whatever its type and collation.
 *
 * @throws ProblemError `setup_error` for an ability without rules to read, and for a condition that it cannot turn into
 *   SQL: nothing is ever left out.
 */
export function accessibleBy<Query extends Knex.QueryBuilder, A extends Ability, const Resource extends ResourceOf<A>>(
  query: Query,
  ability: A,
  action: ActionOf<A, Resource>,
  resource: Resource,
  { table, columns = {}, types = {}, field }: AccessibleByOptions = {},
): Query {
  const builder = internalsOf(query)
  checkNarrowable(builder)
  const dialect = dialectOf(query as unknown as Knex)
  const qualifier = table ?? nameOf(builder._single.table)
  const predicate = allowedBy(rulesFor(ability, action, resource, field), {
    comparisons: (asked) => comparisonsOf(dialect, Object.hasOwn(types, asked) ? types[asked] : undefined),
    column(asked) {
      const name = Object.hasOwn(columns, asked) ? columns[asked] : isField(asked) && asked
      if (typeof name !== 'string' || name === '') {
        throw coreErrors.setup_error({ detail: `A rule asks about "${asked}", which is no column; see \`columns\`.` })
      }
      return qualifier === undefined || name.includes('.') ? name : `${qualifier}.${name}`
    },
  })
  if (predicate === true) return query
  const before = builder._statements.filter(({ grouping }) => grouping === 'where')
  if (before.length > 0) {
    query.clearWhere()
    query.where((group) => {
      internalsOf(group)._statements.push(...before)
    })
  }
  const { text, bindings } = predicate === false ? { text: '1 = 0', bindings: [] } : predicate
  query.whereRaw(text, bindings)
  return query
}

type RulesFor = (action: string, resource: string, field: string | undefined) => readonly AbilityRule[]

function rulesFor(ability: Ability, action: unknown, resource: unknown, field: string | undefined) {
  const { rulesFor } = ability as { rulesFor?: RulesFor }
  const isName = (name: unknown) => typeof name === 'string' && name !== ''
  if (typeof rulesFor === 'function' && isName(action) && isName(resource) && (field === undefined || isName(field))) {
    return rulesFor.call(ability, action as string, resource as string, field)
  }
  throw coreErrors.setup_error({
    detail: '`accessibleBy` takes a Knex query builder, a CASL ability, an action and a resource.',
  })
}

/** What of a builder Knex has no method for: its table, and the conditions that it has so far. */
interface Internals {
  _method: string
  _single: { table?: unknown }
  _statements: { grouping: string }[]
}

function internalsOf(query: unknown): Internals {
  const builder = query as Partial<Internals> | null | undefined
  if (builder?._single && Array.isArray(builder._statements)) return builder as Internals
  throw coreErrors.setup_error({ detail: '`accessibleBy` takes a query builder of Knex 3: `knex("posts")`.' })
}

/** Conditions would be left out of an insert without a word, and out of all parts of a union but the first. */
function checkNarrowable({ _method, _statements }: Internals): void {
  const union = _statements.some(({ grouping }) => grouping === 'union')
  if (!union && ['select', 'first', 'pluck', 'update', 'del'].includes(_method)) return
  const detail = union ? 'Narrow each part of a union' : `"${_method}" takes no conditions`
  throw coreErrors.setup_error({ detail: `${detail}: \`accessibleBy\` is for one select, update or delete.` })
}

/** How the rest of the query calls its table; undefined if it is not one by name. */
function nameOf(table: unknown): string | undefined {
  if (typeof table === 'string') return /\sas\s+(\S+)\s*$/i.exec(table)?.[1] ?? table
  if (typeof table !== 'object' || table === null || Object.getPrototypeOf(table) !== Object.prototype) return undefined
  const aliases = Object.keys(table)
  return aliases.length === 1 ? aliases[0] : undefined
}
