/** Migrations as functions, with a ledger of their own. Two processes may start at once. */
import type { Knex } from 'knex'
import { coreErrors } from '../errors.js'
import { type ColumnBuilders, columnsOf } from './column-types.js'
import { dialectOf, isTableThere } from './dialect.js'
import { retryOnContention } from './retry.js'

/** One DDL step. `prefix` goes before every table and index name. */
export interface Migration {
  /** Sorts after those before it: `0001-endpoints`. Never renamed once released. */
  name: string
  /** The table that the step makes, without its prefix; what is left of it is dropped if a crash cut the step off. */
  creates?: string
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
    /** For the `predicate` of an index over some rows only, which MySQL and MariaDB make over all. */
    where: (condition: string) => Knex.QueryBuilder,
  ) => void,
): Migration {
  return {
    name,
    creates: table,
    up: (knex, prefix) =>
      knex.schema.createTable(prefix + table, (builder) => {
        const named = (suffix: string) => `${prefix}${table}_${suffix}`
        define(columnsOf(knex, builder), builder, named, (condition) => knex.queryBuilder().whereRaw(condition))
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
  return retryOnContention(() => knex.transaction(applyAll))
}

/**
 * MySQL commits at each DDL statement, and a table with its indexes is several. The step is noted first, so that the
 * first of these commits keeps the note: a step that is noted and not done was cut off by a crash, and is begun again.
 */
async function applyStep(trx: Knex.Transaction, ledger: string, step: Migration, prefix: string, cutOff: boolean) {
  const table = step.creates === undefined ? undefined : prefix + step.creates
  if (cutOff) {
    if (table !== undefined) await trx.schema.dropTableIfExists(table)
  } else {
    if (table !== undefined && (await trx.schema.hasTable(table))) throw notOurs(table)
    await trx(ledger).insert({ name: step.name, done: 0 })
  }
  try {
    await step.up(trx, prefix)
  } catch (error) {
    // Whoever lives to see its step fail leaves no note of it. After an error PostgreSQL undoes everything anyway.
    if (dialectOf(trx) === 'mysql') await undoStep(trx, ledger, step, table)
    throw error
  }
  await trx(ledger).where({ name: step.name }).update({ done: 1 })
}

async function undoStep(trx: Knex.Transaction, ledger: string, step: Migration, table: string | undefined) {
  try {
    if (table !== undefined) await trx.schema.dropTableIfExists(table)
    await trx(ledger).where({ name: step.name }).delete()
  } catch {
    // The connection is gone: the note stays and says that the step was cut off.
  }
}

function notOurs(table: string) {
  return coreErrors.setup_error({
    detail: `The table "${table}" exists already and is not ours; pass another \`prefix\` to migrate and knexStorage.`,
  })
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
          if (!isTableThere(error)) throw error
        })
      return work()
    case 'mysql': {
      // DDL commits implicitly, but the lock belongs to the connection, which this transaction keeps. Hashed, because
      // MySQL takes at most 64 characters.
      const name = "sha1(concat(database(), '.', ?))"
      const [[row]] = await trx.raw(`select get_lock(${name}, ?) as held`, [ledger, lockSeconds])
      if (Number(row?.held) !== 1) {
        throw coreErrors.busy({ detail: `Another process has held the migration lock for ${lockSeconds} s.` })
      }
      try {
        return await work()
      } finally {
        // A connection that broke has let go of it already, and its own error matters more.
        await trx.raw(`select release_lock(${name})`, [ledger]).catch(() => {})
      }
    }
  }
}
