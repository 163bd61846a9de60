/** Turns a checked filter into closures. */
import type { FieldConditions, FieldOperator, Filter } from './language.js'

export type Predicate = (data: unknown) => boolean
/** Whether a value found at a path is what is looked for. */
type Test = (value: unknown) => boolean

/** The predicate of a filter without mistakes. It visits a value of the data at most once for each condition. */
export function compile(filter: Filter): Predicate {
  return every(Object.entries(filter).map(([key, value]) => compileEntry(key, value)))
}

function compileEntry(key: string, value: Filter[string]): Predicate {
  if (key === '$and') return every((value as readonly Filter[]).map(compile))
  if (key === '$or') return some((value as readonly Filter[]).map(compile))
  if (key === '$not') return not(compile(value as Filter))
  const path = key.split('.')
  const conditions = typeof value === 'object' && value !== null ? value : { $eq: value }
  return every(
    Object.entries(conditions).map(([name, operand]) => compileCondition(name as FieldOperator, path, operand)),
  )
}

function compileCondition(operator: FieldOperator, path: string[], operand: unknown): Predicate {
  // Each operator has its own type of operand, which the check has seen to.
  return (conditionsOf[operator] as (path: string[], operand: unknown) => Predicate)(path, operand)
}

/** `$ne`, `$nin` and `$exists: false` are the exact negations of `$eq`, `$in` and `$exists: true`, arrays included. */
const conditionsOf: { [O in FieldOperator]: (path: string[], operand: Required<FieldConditions>[O]) => Predicate } = {
  $eq: (path, operand) => found(path, (value) => value === operand),
  $ne: (path, operand) => not(conditionsOf.$eq(path, operand)),
  $in: (path, operands) => {
    const values = new Set<unknown>(operands)
    return found(path, (value) => values.has(value))
  },
  $nin: (path, operands) => not(conditionsOf.$in(path, operands)),
  $gt: ordered((a, b) => a > b),
  $gte: ordered((a, b) => a >= b),
  $lt: ordered((a, b) => a < b),
  $lte: ordered((a, b) => a <= b),
  $exists: (path, wanted) => (wanted ? found(path, () => true) : not(conditionsOf.$exists(path, true))),
}

function ordered(holds: (a: string | number, b: string | number) => boolean) {
  return (path: string[], operand: string | number) =>
    found(path, (value) => typeof value === typeof operand && holds(value as string | number, operand))
}

function found(path: string[], test: Test): Predicate {
  return (data) => foundFrom(data, path, 0, test)
}

/**
 * An array at the end of a path is tried itself and by its elements; one on the way is gone through by its elements.
 * Arrays right inside arrays are not opened, so the recursion is no deeper than the path is long.
 */
function foundFrom(value: unknown, path: string[], step: number, test: Test): boolean {
  const name = path[step]
  if (name === undefined) return test(value) || (Array.isArray(value) && value.some((element) => test(element)))
  const below = (holder: unknown) => {
    const next = ownValue(holder, name)
    return next !== undefined && foundFrom(next, path, step + 1, test)
  }
  return Array.isArray(value) ? value.some(below) : below(value)
}

/** Own properties of objects only: neither prototypes nor the length or the indexes of an array. */
function ownValue(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return undefined
  return Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined
}

function every(predicates: Predicate[]): Predicate {
  const [only, ...others] = predicates
  return only && others.length === 0 ? only : (data) => predicates.every((holds) => holds(data))
}

function some(predicates: Predicate[]): Predicate {
  return (data) => predicates.some((holds) => holds(data))
}

function not(predicate: Predicate): Predicate {
  return (data) => !predicate(data)
}
