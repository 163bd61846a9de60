/** What differs between the databases that we run on, in one place. */
import type { Knex } from 'knex'
import { coreErrors } from '../errors.js'

export type Dialect = 'sqlite' | 'postgres' | 'mysql'

/** @throws ProblemError `setup_error` for a database that we do not support. */
export function dialectOf(db: Knex): Dialect {
  const name: unknown = db.client?.dialect
  if (name === 'sqlite3' && db.client.driverName === 'better-sqlite3') return 'sqlite'
  if (name === 'postgresql') return 'postgres'
  if (name === 'mysql') return 'mysql'
  throw coreErrors.setup_error({
    detail: `Knex client "${String(name)}" is not supported; use better-sqlite3, pg or mysql2.`,
  })
}

function codeOf(error: unknown): string {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown }
  return String(code ?? errno ?? '')
}

/** A unique key was taken: PostgreSQL 23505, MySQL ER_DUP_ENTRY, SQLite's two constraint codes. */
export function isDuplicateKey(error: unknown): boolean {
  return ['23505', 'ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(codeOf(error))
}

/** Another transaction won; the same work may pass when tried again. */
export function isContention(error: unknown): boolean {
  return ['40P01', '40001', 'ER_LOCK_DEADLOCK', 'ER_CHECKREAD', 'SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT'].includes(
    codeOf(error),
  )
}

/** A row stayed locked for longer than was waited: PostgreSQL's 55P03, and MySQL's word for the same. */
export function isLockTimeout(error: unknown): boolean {
  return ['55P03', 'ER_LOCK_WAIT_TIMEOUT'].includes(codeOf(error))
}

/** InnoDB has rolled the whole transaction back, not just the statement: a savepoint of it is gone as well. */
export function endsMysqlTransaction(error: unknown): boolean {
  return ['ER_LOCK_DEADLOCK', 'ER_CHECKREAD', 'ER_SP_DOES_NOT_EXIST'].includes(codeOf(error))
}

/** A table is missing: PostgreSQL 42P01, MySQL ER_NO_SUCH_TABLE, SQLite says so only in words. */
export function isMissingTable(error: unknown): boolean {
  const words = error instanceof Error && /no such (table|column)|has no column named/.test(error.message)
  return ['42P01', '42703', 'ER_NO_SUCH_TABLE', 'ER_BAD_FIELD_ERROR'].includes(codeOf(error)) || words
}

/** SQLite says only in words that a table exists already. */
export function isTableThere(error: unknown): boolean {
  return error instanceof Error && / already exists$/.test(error.message)
}
