/** The storage port that every module has, whatever it stores. */

/**
 * A transaction of the host. With Knex it is the host's own `Knex.Transaction`, passed as it is; with memory storage
 * it is what `memoryDatabase().transaction(…)` hands out. Each storage checks that a handle is one of its own.
 */
export type Tx = object

export interface RunOptions {
  /**
   * `false` for work that throws nothing of its own once it has written: it then joins `tx` as it is, two statements
   * cheaper. An error of the database takes the host's transaction with it: it is rolled back, and rejects. See
   * docs/decisions/0020.
   */
  savepoint?: boolean
  /**
   * For how long a transaction of its own waits for a row that another one has locked, in milliseconds, before it fails
   * with `busy`: for as long as the database is set to unless told. SQLite has one lock, and its own `busy_timeout`.
   */
  lockTimeoutMs?: number
}

/** Hands work the stores of one module, bound to one transaction. */
export interface Storage<Stores> {
  /**
   * Runs `work` atomically. Without `tx` it opens a transaction, and may run `work` again after a deadlock; with `tx`
   * it joins it: an error undoes the work and leaves the host's transaction usable, and nothing is kept unless the
   * host commits.
   *
   * @throws ProblemError `foreign_transaction` if `tx` belongs to another database or has ended;
   *   `not_migrated` if the module's tables are missing.
   */
  run<T>(work: (stores: Stores, tx: Tx) => Promise<T>, tx?: Tx, options?: RunOptions): Promise<T>
  /** Reads without opening a transaction; inside `tx` when one is given. */
  read<T>(work: (stores: Stores) => Promise<T>, tx?: Tx): Promise<T>
  /** Whether `tx` is a live transaction of this storage's database. */
  owns(tx: Tx): boolean
}
