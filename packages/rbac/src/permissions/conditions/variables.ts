/** Conditions as they are stored, turned into what CASL reads. */
import type { MongoQuery } from '@casl/ability'
import { coreErrors } from '@org/core'
import type { Condition, Conditions, Variable } from './schema.js'

/** What the variables stand for. */
export type Variables = Readonly<Partial<Record<Variable['var'], string | undefined>>>

/**
 * A query of CASL's of its own, with every variable filled in. A variable without a value is never left undefined: to
 * CASL, `{ tenantId: undefined }` is a row without a tenant.
 *
 * @throws ProblemError `setup_error` for a variable without a value.
 */
export function fillVariables(conditions: Conditions, variables: Variables): MongoQuery {
  return mapValues(conditions, (condition, field) => fill(condition, variables, field))
}

function fill(condition: Condition, variables: Variables, field: string): unknown {
  if (typeof condition !== 'object' || condition === null) return condition
  if ('var' in condition) return lookUp(condition, variables, field)
  return mapValues(condition, (operand) =>
    Array.isArray(operand) ? operand.map((item) => fill(item, variables, field)) : fill(operand, variables, field),
  )
}

function lookUp(variable: Variable, variables: Variables, field: string): string {
  const value = Object.hasOwn(variables, variable.var) ? variables[variable.var] : undefined
  if (typeof value === 'string' && value !== '') return value
  throw coreErrors.setup_error({
    detail: `The condition on "${field}" needs ${variable.var}, which is not known here.`,
  })
}

/** Own keys only, and none of them can reach a prototype. */
function mapValues<Value>(record: Record<string, Value>, map: (value: Value, key: string) => unknown) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))
}
