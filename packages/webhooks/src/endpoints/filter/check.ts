/** Says what is wrong with a filter: each mistake with where it is and what is allowed there. */
import { Text } from '@org/core'
import {
  type FieldOperator,
  fieldOperators,
  filterLimits,
  isFieldOperator,
  isLogic,
  logicOperators,
} from './language.js'

export interface FilterMistake {
  path: (string | number)[]
  message: string
}

type Path = FilterMistake['path']
/** What is wrong with a value, or null. */
type Verdict = string | null

const logicList = logicOperators.join(', ')
const fieldList = fieldOperators.join(', ')
const unknownOperator = `unknown operator; a filter takes ${logicList} and paths, a path takes ${fieldList}`
const misplacedOperator = `belongs under a path, as in { "amount": { "$gte": 100 } }; a filter takes ${logicList} and paths`
const scalarKinds = 'a string, a finite number, true, false or null'
const ComparedString = Text.max(filterLimits.string)
const PathText = Text.max(filterLimits.path)

/** All mistakes of a filter; none for one that can be compiled. The work is bounded whatever the value is. */
export function filterMistakes(filter: unknown): FilterMistake[] {
  const mistakes: FilterMistake[] = []
  const report = (path: Path, message: Verdict) => void (message !== null && mistakes.push({ path, message }))
  let conditions = 0

  /** Counts a condition, also a wrong one; false ends the check, so that nobody gets a million mistakes in answer. */
  function spend(path: Path): boolean {
    conditions += 1
    if (conditions === filterLimits.conditions + 1) {
      report(path, `one condition too many; a filter has at most ${filterLimits.conditions}`)
    }
    return conditions <= filterLimits.conditions
  }

  /** Counts one condition, and reports what is wrong with it. */
  function judge(path: Path, verdict: Verdict) {
    if (spend(path)) report(path, verdict)
  }

  function checkFilter(value: unknown, path: Path, depth: number) {
    if (!isPlainObject(value)) return judge(path, 'must be an object of paths and their conditions')
    if (depth > filterLimits.depth) {
      return judge(path, `nested too deep; at most ${filterLimits.depth} filters inside each other`)
    }
    const keys = Object.keys(value)
    if (keys.length === 0) return judge(path, 'write at least one condition')
    for (const key of keys) {
      if (conditions > filterLimits.conditions) return
      const at = [...path, key]
      if (key === '$not') checkFilter(value[key], at, depth + 1)
      else if (isLogic(key)) checkFilters(value[key], at, depth + 1)
      else checkField(key, value[key], at)
    }
  }

  function checkFilters(value: unknown, path: Path, depth: number) {
    if (!Array.isArray(value) || value.length === 0) return judge(path, 'must be a list of at least one filter')
    for (const [index, filter] of value.entries()) {
      if (conditions > filterLimits.conditions) return
      checkFilter(filter, [...path, index], depth)
    }
  }

  function checkField(key: string, value: unknown, path: Path) {
    const wrongPath = notPath(key)
    if (wrongPath !== null) return judge(path, wrongPath)
    if (!isPlainObject(value)) return judge(path, notScalar(value, `, or an object of ${fieldList}`))
    const operators = Object.keys(value)
    if (operators.length === 0) return judge(path, `write one of ${fieldList}`)
    for (const operator of operators) {
      const at = [...path, operator]
      if (!spend(at)) return
      if (isFieldOperator(operator)) checkOperand(operator, value[operator], at)
      else report(at, operator.startsWith('$') ? unknownOperator : `not an operator; ${nestedHint(key, operator)}`)
    }
  }

  function checkOperand(operator: FieldOperator, operand: unknown, path: Path): void {
    if (operator === '$exists') report(path, typeof operand === 'boolean' ? null : 'must be true or false')
    else if (operator === '$in' || operator === '$nin') checkList(operand, path)
    else if (operator === '$eq' || operator === '$ne') report(path, notScalar(operand))
    else report(path, notOrdered(operand))
  }

  function checkList(list: unknown, path: Path): void {
    if (!Array.isArray(list) || list.length === 0 || list.length > filterLimits.values) {
      report(path, `must be a list of 1 to ${filterLimits.values} values`)
      return
    }
    const index = list.findIndex((value) => notScalar(value) !== null)
    if (index >= 0) report([...path, index], notScalar(list[index]))
  }

  checkFilter(filter, [], 1)
  if (mistakes.length === 0 && JSON.stringify(filter).length > filterLimits.text) {
    report([], `too long; a filter has at most ${filterLimits.text} characters as JSON`)
  }
  return mistakes
}

function notPath(key: string): Verdict {
  if (isFieldOperator(key)) return misplacedOperator
  if (key.startsWith('$')) return unknownOperator
  if (!PathText.safeParse(key).success) {
    return `a path has at most ${filterLimits.path} characters, no NUL and no half surrogate pair`
  }
  const names = key.split('.')
  if (names.includes('')) return 'a path is names joined by dots, such as "customer.country"; none may be empty'
  // Copying objects by assignment loses it, and a lost condition widens the filter.
  return names.includes('__proto__') ? 'a path may not hold the name "__proto__"' : null
}

function notScalar(value: unknown, orElse = ''): Verdict {
  if (typeof value === 'string') return notString(value)
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return null
  return `must be ${scalarKinds}${orElse}`
}

function notOrdered(value: unknown): Verdict {
  if (typeof value === 'string') return notString(value)
  return Number.isFinite(value) ? null : 'must be a finite number or a string; dates are strings in RFC 3339'
}

function notString(value: string): Verdict {
  const fits = ComparedString.safeParse(value).success
  return fits ? null : `a string has at most ${filterLimits.string} characters, no NUL and no half surrogate pair`
}

function nestedHint(key: string, name: string): string {
  const path = `${key}.${name}`
  const example = path.length > 64 ? 'customer.country' : path
  return `a path takes ${fieldList}, and what lies deeper has a dotted path of its own, such as "${example}"`
}

/** As JSON makes them, of whatever realm: a date or another instance would not come back from the database as it was. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
