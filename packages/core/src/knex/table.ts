/**
 * Rows in SQL. A codec for each column, so that rows come out the same whatever the host's driver does with big
 * integers, booleans, JSON or the case of column names.
 */
import type { Knex } from 'knex'
import { coreErrors } from '../errors.js'
import { dialectOf, isDuplicateKey } from './dialect.js'

export interface Column<Value> {
  encode(value: Value): unknown
  decode(stored: unknown): Value
}

/** Text, as it is. PostgreSQL takes no U+0000, so that no database is given one. */
export const text: Column<string> = {
  encode(value) {
    if (!value.includes('\0')) return value
    throw coreErrors.invalid_input({ detail: 'Text must not hold the character U+0000.' })
  },
  decode: String,
}

/** An integer or a time in epoch milliseconds: drivers give a number, a string or a BigInt. */
export const integer: Column<number> = { encode: (value) => value, decode: Number }

/** A boolean, kept as 0 or 1. */
export const flag: Column<boolean> = {
  encode: (value) => (value ? 1 : 0),
  decode: (stored) => stored === true || Number(stored) === 1,
}

/** Plain data, kept as JSON text. */
export function json<Value>(): Column<Value> {
  return {
    encode: (value) => JSON.stringify(value),
    decode: (stored) => (typeof stored === 'string' ? JSON.parse(stored) : stored) as Value,
  }
}

/** Text that is one of a known set. */
export function oneOf<Value extends string>(): Column<Value> {
  return text as unknown as Column<Value>
}

/** NULL stands for null. */
export function nullable<Value>(column: Column<Value>): Column<Value | null> {
  return {
    encode: (value) => (value === null ? null : column.encode(value)),
    decode: (stored) => (stored === null || stored === undefined ? null : column.decode(stored)),
  }
}

export type Columns<Row> = { readonly [Field in keyof Row]-?: Column<Row[Field]> }

/** Columns with their names, worked out once for all the handles that a table is bound to. */
export type Fields<Row> = readonly [field: keyof Row & string, name: string, column: Column<unknown>][]

/** For a table that is bound often, where working out the names each time would cost as much as a small query. */
export function fieldsOf<Row extends object>(columns: Columns<Row>): Fields<Row> {
  return Object.entries(columns).map(([field, column]) => [
    field as keyof Row & string,
    columnName(field),
    column as Column<unknown>,
  ])
}

const isFields = <Row>(columns: Columns<Row> | Fields<Row>): columns is Fields<Row> => Array.isArray(columns)

type Stored = Record<string, unknown>
type Narrow = (query: Knex.QueryBuilder) => Knex.QueryBuilder
type Where<Row> = Partial<Row> | Narrow

/** How many rows one INSERT takes: SQLite refuses more than 500, and others limit its parameters. */
const insertChunk = 250

/** `createdAt` → `created_at`. */
export function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** One table over one handle: `new KnexTable<Endpoint>(db, 'webhooks_endpoints', { id: text, … })`. */
export class KnexTable<Row extends object> {
  readonly #fields: Fields<Row>

  constructor(
    readonly db: Knex,
    readonly name: string,
    columns: Columns<Row> | Fields<Row>,
  ) {
    this.#fields = isFields(columns) ? columns : fieldsOf(columns)
  }

  /** Leaves out what is undefined. */
  encode(row: Partial<Row>): Stored {
    const stored: Stored = {}
    for (const [field, name, column] of this.#fields) {
      if (row[field] !== undefined) stored[name] = column.encode(row[field])
    }
    return stored
  }

  /** A missing value must never widen a condition: a filter that is not wanted is left out by its writer. */
  #condition(where: Partial<Row>): Stored {
    for (const [field, value] of Object.entries(where)) {
      if (value === undefined) throw new TypeError(`${this.name}: the condition on "${field}" has no value`)
    }
    return this.encode(where)
  }

  #narrow(query: Knex.QueryBuilder, where: Where<Row>): Knex.QueryBuilder {
    return typeof where === 'function' ? where(query) : query.where(this.#condition(where))
  }

  /** Also takes rows whose names a host's `postProcessResponse` has turned into camel case. */
  decode(stored: Stored): Row {
    return Object.fromEntries(
      this.#fields.map(([field, name, column]) => [
        field,
        column.decode(name in stored ? stored[name] : stored[field]),
      ]),
    ) as Row
  }

  /** The query builder, for what the methods below do not say. */
  query(where: Where<Row> = {}): Knex.QueryBuilder {
    return this.#narrow(this.db(this.name), where)
  }

  async all(where: Where<Row> = {}): Promise<Row[]> {
    const rows: Stored[] = await this.query(where).select(this.#fields.map(([, name]) => `${this.name}.${name}`))
    return rows.map((row) => this.decode(row))
  }

  async find(where: Where<Row>): Promise<Row | null> {
    const [row] = await this.all((query) => this.#narrow(query, where).limit(1))
    return row ?? null
  }

  /** Reads one row and locks it until the transaction ends. SQLite needs no row locks: it has one writer. */
  async lock(where: Partial<Row>): Promise<Row | null> {
    return this.find((query) => {
      const narrowed = this.#narrow(query, where)
      return dialectOf(this.db) === 'sqlite' ? narrowed : narrowed.forUpdate()
    })
  }

  async insert(rows: Row | Row[]): Promise<void> {
    const list = Array.isArray(rows) ? rows : [rows]
    for (let start = 0; start < list.length; start += insertChunk) {
      const chunk = list.slice(start, start + insertChunk)
      await this.db(this.name).insert(chunk.map((row) => this.encode(row)))
    }
  }

  /**
   * False, and nothing written, if the unique key over `conflict` is taken. Never poisons a PostgreSQL transaction.
   * Waits for a transaction that is about to write the same key.
   */
  async insertUnlessExists(row: Row, conflict: (keyof Row & string)[]): Promise<boolean> {
    const insert = this.db(this.name).insert(this.encode(row))
    if (dialectOf(this.db) === 'mysql') {
      // INSERT IGNORE would also turn other mistakes into warnings; a duplicate alone leaves the transaction usable.
      try {
        await insert
        return true
      } catch (error) {
        if (isDuplicateKey(error)) return false
        throw error
      }
    }
    const names = conflict.map(columnName)
    const written: unknown[] = await insert.onConflict(names).ignore().returning(names)
    return written.length > 0
  }

  /**
   * Null if it was inserted; the row that is there if the unique key over `conflict` is taken, also one that was
   * committed while we waited. Reads it with a shared lock: many losers asking for an exclusive one would deadlock.
   *
   * @throws ProblemError `busy` if whoever took the key keeps deleting its row before it can be read.
   */
  async insertOrFind(row: Row, conflict: (keyof Row & string)[]): Promise<Row | null> {
    const key = Object.fromEntries(conflict.map((field) => [field, row[field]])) as Partial<Row>
    for (let attempt = 0; attempt < 2; attempt++) {
      if (await this.insertUnlessExists(row, conflict)) return null
      const found = await this.find((query) => {
        const narrowed = this.#narrow(query, key)
        return dialectOf(this.db) === 'sqlite' ? narrowed : narrowed.forShare()
      })
      if (found) return found
    }
    throw coreErrors.busy({ detail: `A row of ${this.name} was there and gone again.` })
  }

  /** How many rows match; on every database, also rows that already held these values. */
  async update(where: Where<Row>, patch: Partial<Row>): Promise<number> {
    return this.#narrow(this.db(this.name), where).update(this.encode(patch))
  }

  async remove(where: Where<Row>): Promise<number> {
    return this.#narrow(this.db(this.name), where).delete()
  }

  /** The newest first, by id: ids are time-sortable. */
  async newestFirst(where: Where<Row>, slice: { limit: number; after: [string] | null }): Promise<Row[]> {
    return this.all((query) => {
      const narrowed = this.#narrow(query, where)
      if (slice.after) narrowed.where(`${this.name}.id`, '<', slice.after[0])
      return narrowed.orderBy(`${this.name}.id`, 'desc').limit(slice.limit)
    })
  }
}
