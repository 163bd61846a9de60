/** How the columns of one query are compared: by what they hold, or by a type that the host vouches for. */
import type { Dialect } from '@org/core/knex'
import { type DialectSql, dialects, numbersIn, type Order } from './dialects.js'
import { commas, identifier, keyword, list, type Predicate, sql } from './sql.js'

/** `number` for integers, decimals and doubles, `text` for `varchar` and `text`. */
export type ColumnType = 'number' | 'text'

export interface Comparisons {
  isText(column: string, values: readonly string[]): Predicate
  isNumber(column: string, values: readonly number[]): Predicate
  ordersText(column: string, order: Order, limit: string): Predicate
  ordersNumber(column: string, order: Order, limit: number): Predicate
}

/** The same answers for every type, only that an index on the column itself serves where the type is known. */
export function comparisonsOf(dialect: Dialect, type?: ColumnType): Comparisons {
  const { isText, number, ordersText, constant }: DialectSql = dialects[dialect]
  if (type === 'number') {
    const isNumber = (name: string, values: readonly number[]) =>
      sql`${identifier(name)} in (${commas(values.map(constant))})`
    return {
      isText(name, values) {
        const numbers = numbersIn(values)
        return numbers.length > 0 && isNumber(name, numbers)
      },
      isNumber,
      ordersText,
      ordersNumber: (name, order, limit) => sql`${identifier(name)} ${keyword(order)} ${constant(limit)}`,
    }
  }
  return {
    isText(name, values) {
      const exact = isText(name, values)
      // The others have it in their exact comparison. MySQL would coerce a column of numbers, and fail in an update.
      if (dialect !== 'mysql' || type !== 'text' || typeof exact === 'boolean') return exact
      return sql`(${identifier(name)} in (${list(values)}) and ${exact})`
    },
    isNumber: (name, values) => sql`(${number(name)}) in (${list(values)})`,
    ordersText,
    ordersNumber: (name, order, limit) => sql`(${number(name)}) ${keyword(order)} ${list([limit])}`,
  }
}
