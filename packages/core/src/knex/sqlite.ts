/**
 * Statements of better-sqlite3 itself. Knex prepares each one anew, and writes many rows as one statement that is as long
 * as they are: a row then costs five times as much as with a statement that was prepared before.
 */
import type { Knex } from 'knex'

interface Statement {
  run(values: readonly unknown[]): { changes: number }
  all(values: readonly unknown[]): Record<string, unknown>[]
}

interface Connection {
  prepare(sql: string): Statement
}

/** Their text is ours, and never made of values: there are as many as our code has. */
const prepared = new WeakMap<Connection, Map<string, Statement>>()

function prepare(connection: Connection, sql: string): Statement {
  const statements = prepared.get(connection) ?? new Map<string, Statement>()
  if (statements.size === 0) prepared.set(connection, statements)
  const known = statements.get(sql)
  if (known) return known
  const statement = connection.prepare(sql)
  statements.set(sql, statement)
  return statement
}

async function withStatement<T>(db: Knex, sql: string, use: (statement: Statement) => T): Promise<T> {
  const connection: Connection = await db.client.acquireConnection()
  try {
    if ('isCompleted' in db && (db as Knex.Transaction).isCompleted()) throw new Error('The transaction is complete.')
    return use(prepare(connection, sql))
  } catch (error) {
    // As Knex does it.
    if (error instanceof Error) error.message = `${sql} - ${error.message}`
    throw error
  } finally {
    await db.client.releaseConnection(connection)
  }
}

/**
 * Runs a statement once for each list of values. Answers how many rows each changed. Knex and what listens to its
 * `query` events hear nothing of it.
 */
export function runForEach(db: Knex, sql: string, list: readonly (readonly unknown[])[]): Promise<number[]> {
  return withStatement(db, sql, (statement) => list.map((values) => statement.run(values).changes))
}

/** The rows that a statement reads; like `runForEach`. */
export function allOf(db: Knex, sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
  return withStatement(db, sql, (statement) => statement.all(values))
}
