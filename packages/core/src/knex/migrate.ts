/** Migrations as functions, with a ledger of their own. Two processes may start at once. */
import type { Knex } from 'knex'
import { systemRandom } from '../defaults.js'
import { coreErrors } from '../errors.js'
import { type ColumnBuilders, columnsOf } from './column-types.js'
import { dialectOf, isAlreadyThere } from './dialect.js'
import { retryOnContention } from './retry.js'

/** One DDL step. `prefix` goes before every table and index name. */
export interface Migration {
  /** Sorts after those before it: `0001-endpoints`. Never renamed once released. */
  name: string
  up(knex: Knex, prefix: string): Promise<unknown>
}

export interface MigrateOptions {
  /** Goes before every table name; must be the storage's own prefix. */
  prefix?: string
}

/** The whole of what a step that makes one table says. */
export function createTable(
  name: string,
  table: string,
  define: (
    column: ColumnBuilders,
    table: Knex.CreateTableBuilder,
    /** The name of an index or constraint. */
    named: (suffix: string) => string,
  ) => void,
): Migration {
  return {
    name,
    up: (knex, prefix) =>
      knex.schema.createTable(prefix + table, (builder) => {
        define(columnsOf(knex, builder), builder, (suffix) => `${prefix}${table}_${suffix}`)
      }),
  }
}

/** The step that every module's list starts with; see `Idempotency-Key`. */
export const idempotencyMigration: Migration = createTable(
  '0000-idempotency-keys',
  'idempotency_keys',
  (column, table, named) => {
    column.id('id', 64).primary()
    column.id('fingerprint', 64)
    column.json('response').nullable()
    column.bigint('expires_at')
    table.index(['expires_at'], named('expires')) // purge
  },
)

/**
 * Applies the steps that the ledger `<prefix>migrations` does not have yet, in order, and returns their names. Processes
 * that start together take turns. PostgreSQL and SQLite apply all or nothing; MySQL and MariaDB commit each step, and
 * the next call goes on where a crash stopped.
 *
 * @throws ProblemError `setup_error` if the prefix is not made of lower-case letters, digits and underscores.
 */
export async function applyMigrations(knex: Knex, steps: readonly Migration[], prefix: string): Promise<string[]> {
  checkPrefix(prefix)
  const ledger = `${prefix}migrations`
  const applyAll = (trx: Knex.Transaction) =>
    withLock(trx, ledger, async () => {
      if (!(await trx.schema.hasTable(ledger))) await createLedger(trx, ledger)
      const rows: { name: string; done: unknown }[] = await trx(ledger).select('name', 'done')
      const noted = new Map(rows.map((row) => [row.name, Number(row.done) === 1]))
      const applied: string[] = []
      for (const step of steps) {
        if (noted.get(step.name) === true) continue
        await applyStep(trx, ledger, step, prefix, noted.has(step.name))
        applied.push(step.name)
      }
      return applied
    })
  return retryOnContention(systemRandom, () => knex.transaction(applyAll))
}

/**
 * MySQL commits at each DDL statement. The step is noted first, so that this commit keeps the note: a step that is
 * noted and not done was cut off by a crash, and only then may it find its work already there.
 */
async function applyStep(trx: Knex.Transaction, ledger: string, step: Migration, prefix: string, cutOff: boolean) {
  if (!cutOff) await trx(ledger).insert({ name: step.name, done: 0 })
  try {
    await step.up(trx, prefix)
  } catch (error) {
    if (!cutOff || !isAlreadyThere(error)) throw error
  }
  await trx(ledger).where({ name: step.name }).update({ done: 1 })
}

/** The longest name that a prefix leaves room for: MySQL and PostgreSQL cut names at 64 and 63 characters. */
const maxPrefix = 20

export function checkPrefix(prefix: string): void {
  if (new RegExp(`^[a-z][a-z0-9_]{0,${maxPrefix - 1}}$`).test(prefix)) return
  throw coreErrors.setup_error({
    detail: `The table prefix "${prefix}" must be 1 to ${maxPrefix} lower-case letters, digits and underscores.`,
  })
}

async function createLedger(trx: Knex.Transaction, ledger: string): Promise<void> {
  await trx.schema.createTable(ledger, (builder) => {
    const column = columnsOf(trx, builder)
    column.id('name').primary()
    column.flag('done')
  })
}

/** Seconds that MySQL waits for another process that migrates; PostgreSQL and SQLite wait as the host configured. */
const lockSeconds = 120

async function withLock<T>(trx: Knex.Transaction, ledger: string, work: () => Promise<T>): Promise<T> {
  switch (dialectOf(trx)) {
    case 'postgres':
      await trx.raw("select pg_advisory_xact_lock(hashtext(current_schema() || '.' || ?))", [ledger])
      return work()
    case 'sqlite':
      // A write that changes nothing takes the one write lock; a read first could make the lock fail later.
      await trx(ledger)
        .where({ name: '' })
        .delete()
        .catch(() => createLedger(trx, ledger))
        .catch((error: unknown) => {
          if (!isAlreadyThere(error)) throw error
        })
      return work()
    case 'mysql': {
      // DDL commits implicitly, but the lock belongs to the connection, which this transaction keeps.
      await trx.raw('select get_lock(concat(database(), ?), ?)', [`.${ledger}`, lockSeconds])
      try {
        return await work()
      } finally {
        await trx.raw('select release_lock(concat(database(), ?))', [`.${ledger}`])
      }
    }
  }
}
