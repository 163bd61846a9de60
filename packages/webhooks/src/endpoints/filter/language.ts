/** The words of the filter language, and how large a filter may be. */

/** What a field may be compared with. */
export type FilterScalar = string | number | boolean | null

/** What is asked of one field; several hold together. */
export interface FieldConditions {
  /** Equal, of the same type. */
  $eq?: FilterScalar
  /** Not `$eq`; so also when the field is missing. */
  $ne?: FilterScalar
  /** Equal to one of these. */
  $in?: readonly FilterScalar[]
  /** Not `$in`; so also when the field is missing. */
  $nin?: readonly FilterScalar[]
  /** Greater: a number than a number, a string (by UTF-16 code units) than a string. */
  $gt?: string | number
  $gte?: string | number
  $lt?: string | number
  $lte?: string | number
  /** Whether the field is there; null is a value. */
  $exists?: boolean
}

/**
 * Which messages an endpoint hears, by their `data`: `{ amount: { $gte: 100 }, 'customer.country': 'DE' }`. Keys are
 * dotted paths into `data`, or `$and`, `$or` and `$not`; all of them must hold. A path takes a scalar, which it must
 * equal, or conditions. Plain JSON, and never more than JSON: no patterns, no code.
 */
export interface Filter {
  $and?: readonly Filter[]
  $or?: readonly Filter[]
  $not?: Filter
  // An index signature covers the named keys as well, so it says more than a path may take; the schema does not.
  [path: string]: FilterScalar | FieldConditions | Filter | readonly Filter[]
}

export const logicOperators = ['$and', '$or', '$not'] as const
export type LogicOperator = (typeof logicOperators)[number]

export const fieldOperators = ['$eq', '$ne', '$in', '$nin', '$gt', '$gte', '$lt', '$lte', '$exists'] as const
export type FieldOperator = (typeof fieldOperators)[number]

export const isLogic = (key: string): key is LogicOperator => (logicOperators as readonly string[]).includes(key)
export const isFieldOperator = (key: string): key is FieldOperator =>
  (fieldOperators as readonly string[]).includes(key)

export const filterLimits = {
  /** Filters inside filters, the outermost counted. */
  depth: 8,
  /** Operators on fields; a bare scalar counts as one. */
  conditions: 100,
  /** Entries of `$in` and `$nin`. */
  values: 100,
  /** Characters of a path. */
  path: 256,
  /** Characters of a string to compare with. */
  string: 1024,
  /** Characters of the whole filter as JSON. It is read with every publish, and remembered. */
  text: 32_768,
} as const
