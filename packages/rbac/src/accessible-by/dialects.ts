/**
 * How a column compares with a value in SQL, exactly as `permissions/conditions/values.ts` has it. The column's type is
 * not known here, so that every comparison is made of its text: `id = 'ann'` is an error in PostgreSQL where `id` is an
 * integer, and in MySQL it is true where `id` is 0. Each answer may be NULL, and then is a no.
 */
import type { Dialect } from '@org/core/knex'
import { isPlain, maxDigits, numberPattern } from '../permissions/conditions/values.js'
import { anyOf, identifier, keyword, list, type Predicate, type Sql, sql } from './sql.js'

export type Order = Parameters<typeof keyword>[0]

export interface DialectSql {
  isText(column: string, values: readonly string[]): Predicate
  /** The column as a double, or NULL if it neither is nor writes a number. */
  number(column: string): Sql
  /** Text by code points; no if the column is of another type. */
  ordersText(column: string, order: Order, limit: string): Sql
  /** A number that an index on a column of numbers can be searched for. */
  constant(value: number): Sql
}

/** Those of the texts that write a number as a column of numbers is read. */
export function numbersIn(texts: readonly string[]): number[] {
  return texts.map(Number).filter((number, i) => isPlain(number) && String(number) === texts[i])
}

const pattern = list([numberPattern])
const digits = list([maxDigits])

const postgres: DialectSql = {
  isText(name, values) {
    const text = sql`cast(${identifier(name)} as text)`
    const type = sql`pg_typeof(${identifier(name)})`
    // An index on the column serves the first comparison. The second one holds also where the column's own collation
    // takes different texts for equal.
    const same = (wanted: readonly string[]) =>
      wanted.length > 0 && sql`(${text} in (${list(wanted)}) and ${text} collate "C" in (${list(wanted)}))`
    const words = values.filter((value) => ['true', 'false'].includes(value))
    const bits = values.filter((value) => ['0', '1'].includes(value))
    const boolean = sql`${type} = 'boolean'::regtype`
    const asBits = same(bits.map((bit) => (bit === '1' ? 'true' : 'false')))
    const asWords = same(words)
    return anyOf([
      same(values.filter((value) => !words.includes(value))),
      typeof asBits !== 'boolean' && sql`(${boolean} and ${asBits})`,
      typeof asWords !== 'boolean' && sql`(not ${boolean} and ${asWords})`,
    ])
  },
  number(name) {
    const text = sql`cast(${identifier(name)} as text)`
    const type = sql`pg_typeof(${identifier(name)})`
    const double = sql`cast(${text} as double precision)`
    return sql`case
      when ${text} collate "C" ~ ${pattern} and length(${text}) <= ${digits} then ${double}
      when ${type} in ('real'::regtype, 'double precision'::regtype) and ${text} <> 'NaN' then ${double}
      when ${type} = 'boolean'::regtype then case ${text} when 'true' then 1 when 'false' then 0 end
    end`
  },
  ordersText(name, order, limit) {
    const column = identifier(name)
    // pg gives bigint and numeric as text; the others as what they are.
    return sql`(pg_typeof(${column}) not in ('smallint'::regtype, 'integer'::regtype, 'real'::regtype,
      'double precision'::regtype, 'boolean'::regtype)
      and cast(${column} as text) collate "C" ${keyword(order)} ${list([limit])})`
  },
  // Beside an integer, an index on integers does not serve a numeric; and an untyped `6.5` would be refused.
  constant: (value) =>
    Number.isSafeInteger(value) ? sql`cast(${list([value])} as bigint)` : sql`cast(${list([value])} as numeric)`,
}

/** As a Buffer, which is written in hexadecimal: no character set, and no escape, can come in between. */
const bytes = (value: string) => Buffer.from(value, 'utf8')

const mysql: DialectSql = {
  isText(name, values) {
    return sql`cast(convert(${identifier(name)} using utf8mb4) as binary) in (${list(values.map(bytes))})`
  },
  number(name) {
    const column = identifier(name)
    const text = sql`convert(${column} using utf8mb4)`
    // `$` also matches before a line break at the end. Numbers have no character set, and doubles may have exponents.
    return sql`case
      when ${text} regexp ${pattern} and ${text} not regexp '[^0-9.-]' and char_length(${text}) <= ${digits}
        then ${text} + 0e0
      when charset(${column}) = 'binary' and ${text} regexp '^-{0,1}[0-9]([.][0-9]+){0,1}e[-+]{0,1}[0-9]+$'
        then ${text} + 0e0
    end`
  },
  ordersText(name, order, limit) {
    const column = identifier(name)
    return sql`(charset(${column}) <> 'binary'
      and cast(convert(${column} using utf8mb4) as binary) ${keyword(order)} ${list([bytes(limit)])})`
  },
  constant: (value) => list([value]),
}

const sqlite: DialectSql = {
  isText(name, values) {
    const column = identifier(name)
    const texts = list(values)
    const numbers = numbersIn(values)
    // The first comparison is there for an index; the second one is exact whatever the column's collation.
    return anyOf([
      sql`(typeof(${column}) = 'text' and ${column} in (${texts}) and cast(${column} as text) collate binary in (${texts}))`,
      numbers.length > 0 && sql`(typeof(${column}) in ('integer', 'real') and ${column} in (${list(numbers)}))`,
    ])
  },
  number(name) {
    const column = identifier(name)
    const unsigned = sql`ltrim(${column}, '-')`
    // `numberPattern`, without regular expressions.
    return sql`case typeof(${column}) when 'integer' then ${column} when 'real' then ${column} when 'text' then
      case when ${unsigned} glob '[0-9]*' and ${column} not glob '--*' and ${unsigned} not glob '*[^0-9.]*'
        and ${unsigned} not glob '0[0-9]*' and ${unsigned} not glob '*.*.*' and ${unsigned} not glob '*.'
        and length(${column}) <= ${digits} then cast(${column} as real) end
    end`
  },
  ordersText(name, order, limit) {
    const column = identifier(name)
    return sql`(typeof(${column}) = 'text' and cast(${column} as text) collate binary ${keyword(order)} ${list([limit])})`
  },
  constant: (value) => list([value]),
}

export const dialects: Readonly<Record<Dialect, DialectSql>> = { postgres, mysql, sqlite }
