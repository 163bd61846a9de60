/** Rows in SQL, through the codecs of their columns. */
import type { Knex } from 'knex'
import { coreErrors } from '../errors.js'
import { type Columns, columnName, type Fields, fieldsOf } from './columns.js'
import { dialectOf, isDuplicateKey } from './dialect.js'
import { allOf, runForEach } from './sqlite.js'

const isFields = <Row>(columns: Columns<Row> | Fields<Row>): columns is Fields<Row> => Array.isArray(columns)

type Stored = Record<string, unknown>
type Narrow = (query: Knex.QueryBuilder) => Knex.QueryBuilder
type Where<Row> = Partial<Row> | Narrow

/** How many rows one INSERT takes: databases limit its parameters. */
const insertChunk = 250

/** How many rows one document holds. */
const documentChunk = 1000

/**
 * PostgreSQL takes no half of a surrogate pair in a document, and makes U+FFFD of it in a parameter. JSON.stringify
 * escapes such a half, and only that, with a `d`; text that happens to look like it is only looked at more closely.
 */
function documentOf(rows: Stored[]): string {
  const document = JSON.stringify(rows)
  if (!document.includes('\\ud')) return document
  return JSON.stringify(rows, (_, value) => (typeof value === 'string' ? wellFormed(value) : value))
}

const wellFormed = (text: string): string => (text as string & { toWellFormed(): string }).toWellFormed()

/** `column in (…)`, in a statement that is the same for any number of values where the database has a way to say so. */
export function whereAmong(query: Knex.QueryBuilder, column: string, values: readonly string[]): Knex.QueryBuilder {
  switch (dialectOf(query as unknown as Knex)) {
    case 'postgres':
      // Not `= any(…)`: for some hundred values, a plan of that reads the whole of a table that is not yet large.
      return query.whereRaw('?? in (select unnest(?::text[]))', [column, values as string[]])
    case 'sqlite':
      return query.whereRaw('?? in (select value from json_each(?))', [column, JSON.stringify(values)])
    case 'mysql':
      return query.whereIn(column, values)
  }
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
    const row: Record<string, unknown> = {}
    for (const [field, name, column] of this.#fields) {
      row[field] = column.decode(name in stored ? stored[name] : stored[field])
    }
    return row as Row
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
    const dialect = dialectOf(this.db)
    if (dialect === 'sqlite') return this.#insertEach(list)
    if (dialect === 'postgres' && list.length > 1) return this.#insertDocument(list)
    for (let start = 0; start < list.length; start += insertChunk) {
      const chunk = list.slice(start, start + insertChunk)
      await this.db(this.name).insert(chunk.map((row) => this.encode(row)))
    }
  }

  async #insertEach(rows: Row[]): Promise<void> {
    const names = this.#fields.map(([, name]) => name)
    const columns = names.map((name) => `"${name}"`).join()
    const insert = `insert into "${this.name}" (${columns}) values (${names.map(() => '?').join()})`
    await runForEach(
      this.db,
      insert,
      rows.map((row) => this.#values(row)),
    )
  }

  /** In the order of the columns; a field that is missing is null. */
  #values(row: Row): unknown[] {
    return this.#fields.map(([field, , column]) => (row[field] === undefined ? null : column.encode(row[field])))
  }

  /** PostgreSQL parses one document sooner than a parameter for each value of each row. */
  async #insertDocument(rows: Row[]): Promise<void> {
    const names = this.#fields.map(([, name]) => name)
    for (let start = 0; start < rows.length; start += documentChunk) {
      const document = documentOf(rows.slice(start, start + documentChunk).map((row) => this.encode(row)))
      const columns = names.map(() => '??').join()
      const insert = `insert into ?? (${columns}) select * from ${this.#recordset(names)}`
      await this.db.raw(insert, [this.name, ...names, document])
    }
  }

  /** A bound document as `r`, with these columns in this order. */
  #recordset(names: readonly string[]): string {
    const kinds = new Map(this.#fields.map(([, name, { kind }]) => [name, kind === 'text' ? 'text' : 'bigint']))
    return `json_to_recordset(?::json) as r(${names.map((name) => `${name} ${kinds.get(name)}`).join()})`
  }

  /**
   * Writes to each row its own values, in one statement for many; all patches have the same fields, and a key of ours.
   * For rows that this transaction has locked.
   */
  async updateEach<Key extends keyof Row & string>(
    key: Key,
    patches: (Partial<Row> & Pick<Row, Key>)[],
  ): Promise<void> {
    for (let start = 0; start < patches.length; start += insertChunk) {
      const rows = patches.slice(start, start + insertChunk).map((patch) => this.encode(patch as Partial<Row>))
      const id = columnName(key)
      const names = Object.keys(rows[0] ?? {}).filter((name) => name !== id)
      await this.#updateRows(id, names, rows)
    }
  }

  async #updateRows(id: string, names: string[], rows: Stored[]): Promise<void> {
    const all = [id, ...names]
    switch (dialectOf(this.db)) {
      case 'postgres': {
        const set = names.map((name) => `?? = r.${name}`).join()
        const update = `update ?? set ${set} from ${this.#recordset(all)} where ??.?? = r.${id}`
        return void (await this.db.raw(update, [this.name, ...names, documentOf(rows), this.name, id]))
      }
      case 'sqlite': {
        const update = `update "${this.name}" set ${names.map((name) => `"${name}" = ?`).join()} where ${id} = ?`
        const last = [...names, id]
        return void (await runForEach(
          this.db,
          update,
          rows.map((row) => last.map((name) => row[name])),
        ))
      }
      case 'mysql': {
        const cases = `case ?? ${rows.map(() => 'when ? then ?').join(' ')} end`
        const set = names.map((name) =>
          this.db.raw(cases, [id, ...rows.flatMap((row) => [row[id], row[name]])] as string[]),
        )
        const changes = Object.fromEntries(names.map((name, index) => [name, set[index]]))
        const ids = rows.map((row) => row[id] as string)
        return void (await this.db(this.name).whereIn(id, ids).update(changes))
      }
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

  /** Those whose field is one of these, in a statement that is the same for any number of them. */
  async among(field: keyof Row & string, values: readonly string[], where?: Narrow): Promise<Row[]> {
    if (values.length === 0) return []
    const column = columnName(field)
    if (where || dialectOf(this.db) !== 'sqlite') {
      return this.all((query) => {
        const some = whereAmong(query, column, values)
        return where ? where(some) : some
      })
    }
    const columns = this.#fields.map(([, name]) => `"${name}"`).join()
    const select = `select ${columns} from "${this.name}" where "${column}" in (select value from json_each(?))`
    return (await allOf(this.db, select, [JSON.stringify(values)])).map((row) => this.decode(row))
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
