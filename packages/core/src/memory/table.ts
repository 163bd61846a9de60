/** Rows in memory, with unique keys and undo. */
import type { MemoryTransaction } from './database.js'

/** The rows of one table, which outlive each transaction. Rows are plain data, copied on their way in and out. */
export type MemoryRows<Row> = Map<string, Row>

export interface MemoryTableOptions<Row> {
  /** The primary key of a row. */
  key: (row: Row) => string
  /** Further unique keys; null exempts a row, as NULL does in SQL. */
  unique?: ((row: Row) => string | null)[]
}

/** One table as one transaction sees it. */
export class MemoryTable<Row extends object> {
  readonly #rows: MemoryRows<Row>
  readonly #tx: MemoryTransaction
  readonly #options: MemoryTableOptions<Row>

  constructor(rows: MemoryRows<Row>, tx: MemoryTransaction, options: MemoryTableOptions<Row>) {
    this.#rows = rows
    this.#tx = tx
    this.#options = options
  }

  /** False, and nothing written, if a unique key is taken. */
  insertUnlessExists(row: Row): boolean {
    this.#checkOpen()
    const key = this.#options.key(row)
    if (this.#rows.has(key) || this.#conflicts(row)) return false
    this.#set(key, structuredClone(row))
    return true
  }

  /** @throws Error if a unique key is taken. */
  insert(row: Row): void {
    if (!this.insertUnlessExists(row)) throw new Error(`duplicate key ${this.#options.key(row)}`)
  }

  get(key: string): Row | null {
    const row = this.#rows.get(key)
    return row ? structuredClone(row) : null
  }

  /** Puts the row in place of the one with its key. @throws Error if that is missing or a unique key is taken. */
  replace(row: Row): void {
    const key = this.#options.key(row)
    if (!this.#rows.has(key) || this.#conflicts(row)) throw new Error(`cannot replace ${key}`)
    this.#set(key, structuredClone(row))
  }

  /** False if there was none. */
  delete(key: string): boolean {
    const row = this.#rows.get(key)
    if (!row) return false
    this.#rows.delete(key)
    this.#tx.onRollback(() => this.#rows.set(key, row))
    return true
  }

  /** All rows that match, in insertion order. */
  filter(matches: (row: Row) => boolean): Row[] {
    const found: Row[] = []
    for (const row of this.#rows.values()) if (matches(row)) found.push(structuredClone(row))
    return found
  }

  find(matches: (row: Row) => boolean): Row | null {
    for (const row of this.#rows.values()) if (matches(row)) return structuredClone(row)
    return null
  }

  /** How many rows changed. @throws Error if a unique key is taken by another row. */
  update(matches: (row: Row) => boolean, patch: Partial<Row> | ((row: Row) => Partial<Row>)): number {
    this.#checkOpen()
    let count = 0
    for (const [key, row] of [...this.#rows]) {
      if (!matches(row)) continue
      const next = { ...row, ...structuredClone(typeof patch === 'function' ? patch(structuredClone(row)) : patch) }
      if (this.#conflicts(next)) throw new Error(`duplicate key ${key}`)
      this.#set(key, next)
      count++
    }
    return count
  }

  /** How many rows went. */
  remove(matches: (row: Row) => boolean): number {
    this.#checkOpen()
    let count = 0
    for (const [key, row] of [...this.#rows]) {
      if (!matches(row)) continue
      this.#rows.delete(key)
      this.#tx.onRollback(() => this.#rows.set(key, row))
      count++
    }
    return count
  }

  #checkOpen(): void {
    if (!this.#tx.isOpen) throw new Error('The transaction has ended.')
  }

  #conflicts(row: Row): boolean {
    const own = this.#options.key(row)
    for (const unique of this.#options.unique ?? []) {
      const value = unique(row)
      if (value === null) continue
      for (const [key, other] of this.#rows) if (key !== own && unique(other) === value) return true
    }
    return false
  }

  #set(key: string, row: Row): void {
    const before = this.#rows.get(key)
    this.#rows.set(key, row)
    this.#tx.onRollback(() => (before ? this.#rows.set(key, before) : this.#rows.delete(key)))
  }
}

/** The newest first, by id: ids are time-sortable. */
export function newestFirst<Row extends { id: string }>(rows: Row[], slice: { limit: number; after: [string] | null }) {
  const after = slice.after?.[0]
  return rows
    .filter((row) => after === undefined || row.id < after)
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, slice.limit)
}
