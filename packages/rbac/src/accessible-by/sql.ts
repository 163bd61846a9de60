/** Pieces of SQL with their bindings. A name or a value gets into the text by no other way than as a binding. */
import type { Knex } from 'knex'

export interface Sql {
  readonly text: string
  readonly bindings: readonly Knex.RawBinding[]
}

/** What a condition comes to: SQL, or an answer that needs none. It counts as no where it is NULL. */
export type Predicate = Sql | boolean

/** Only pieces can be put in, so that nothing else ever is. */
export function sql(strings: TemplateStringsArray, ...parts: Sql[]): Sql {
  const text = strings.reduce((before, string, i) => before + (parts[i - 1]?.text ?? '') + string)
  return { text, bindings: parts.flatMap(({ bindings }) => bindings) }
}

/** Knex quotes it for the dialect, with the host's own `wrapIdentifier`. */
export function identifier(name: string): Sql {
  return { text: '??', bindings: [name] }
}

export function list(values: readonly Knex.RawBinding[]): Sql {
  return { text: values.map(() => '?').join(', '), bindings: values }
}

export function commas(parts: readonly Sql[]): Sql {
  return { text: parts.map(({ text }) => text).join(', '), bindings: parts.flatMap(({ bindings }) => bindings) }
}

/** Written in the code, never made of input. */
export function keyword(text: '<' | '<=' | '>' | '>='): Sql {
  return { text, bindings: [] }
}

/** SQLite parses chains as deep trees, and refuses more than 1,000 levels. */
const longest = 200

function join(word: ' or ' | ' and ', parts: readonly Sql[]): Sql {
  if (parts.length > longest) {
    const size = Math.ceil(parts.length / longest)
    return join(
      word,
      Array.from({ length: longest }, (_, i) => parts.slice(i * size, (i + 1) * size))
        .filter((chunk) => chunk.length > 0)
        .map((chunk) => join(word, chunk)),
    )
  }
  const [only] = parts
  if (only && parts.length === 1) return only
  return { text: `(${parts.map(({ text }) => text).join(word)})`, bindings: parts.flatMap(({ bindings }) => bindings) }
}

const isSql = (predicate: Predicate): predicate is Sql => typeof predicate !== 'boolean'

export function anyOf(predicates: readonly Predicate[]): Predicate {
  if (predicates.includes(true)) return true
  const parts = predicates.filter(isSql)
  return parts.length > 0 && join(' or ', parts)
}

export function allOf(predicates: readonly Predicate[]): Predicate {
  if (predicates.includes(false)) return false
  const parts = predicates.filter(isSql)
  return parts.length === 0 || join(' and ', parts)
}

/** `not (x = 1)` is NULL where x is, and would drop rows that are not meant; this is true there, on every database. */
export function not(predicate: Predicate): Predicate {
  return isSql(predicate) ? sql`((${predicate}) is not true)` : !predicate
}
