/** The real databases that storage tests run on. Each `open` gives an empty one of its own and `close` removes it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Knex } from 'knex'

export interface OpenDatabase {
  knex: Knex
  /** Another instance on the same database, as a second process would have. The caller destroys it. */
  connect(options?: OpenOptions): Knex
  /** How a child process reaches the same database: give it to `knex(…)`. */
  config: Knex.Config
  close(): Promise<void>
}

export interface OpenOptions {
  /** The pool's size. 1 makes a query that escapes its transaction hang, and the test fail. */
  pool?: number
}

export interface TestDatabase {
  name: 'sqlite' | 'postgres' | 'mariadb'
  /** Why it cannot be used here; null if it can. */
  missing: string | null
  open(options?: OpenOptions): Promise<OpenDatabase>
}

/** Fails a test soon instead of hanging when the pool runs dry. */
const acquireTimeout = 10_000

/**
 * SQLite always; PostgreSQL and MariaDB at `TEST_POSTGRES_URL` and `TEST_MARIADB_URL`, or on their standard local ports.
 * A database that cannot be reached has `missing` set; with `REQUIRE_SERVICES=1` that is an error.
 */
export async function testDatabases(): Promise<TestDatabase[]> {
  return Promise.all([sqlite, postgres, mariadb].map((make) => make()))
}

async function sqlite(): Promise<TestDatabase> {
  return {
    name: 'sqlite',
    missing: null,
    async open(options) {
      const folder = await mkdtemp(join(tmpdir(), 'org-test-'))
      const config: Knex.Config = {
        client: 'better-sqlite3',
        connection: { filename: join(folder, 'test.sqlite') },
        useNullAsDefault: true,
      }
      return opened(config, options, sqlitePool, () => rm(folder, { recursive: true, force: true }))
    },
  }
}

const sqlitePool = {
  afterCreate(connection: { pragma(sql: string): void }, done: (error: Error | null) => void) {
    connection.pragma('journal_mode = WAL')
    // Short, because it blocks the whole process: the holder of the lock may be in this very process.
    connection.pragma('busy_timeout = 20')
    done(null)
  },
}

async function postgres(): Promise<TestDatabase> {
  const connection = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
  const admin: Knex.Config = { client: 'pg', connection }
  return {
    name: 'postgres',
    missing: await whyMissing(admin),
    async open(options) {
      const schema = uniqueName()
      await once(admin, (knex) => knex.raw(`create schema ${schema}`))
      return opened({ ...admin, searchPath: [schema] }, options, {}, () =>
        once(admin, (knex) => knex.raw(`drop schema ${schema} cascade`)),
      )
    },
  }
}

async function mariadb(): Promise<TestDatabase> {
  const url = process.env.TEST_MARIADB_URL ?? 'mysql://root@127.0.0.1:3306/test'
  const admin: Knex.Config = { client: 'mysql2', connection: url }
  return {
    name: 'mariadb',
    missing: await whyMissing(admin),
    async open(options) {
      const database = uniqueName()
      await once(admin, (knex) => knex.raw(`create database ${database}`))
      const own = new URL(url)
      own.pathname = `/${database}`
      return opened({ client: 'mysql2', connection: own.href }, options, {}, () =>
        once(admin, (knex) => knex.raw(`drop database ${database}`)),
      )
    },
  }
}

async function opened(
  config: Knex.Config,
  options: OpenOptions = {},
  pool: Knex.PoolConfig,
  remove: () => Promise<unknown>,
): Promise<OpenDatabase> {
  const { default: createKnex } = await import('knex')
  const connect = ({ pool: max }: OpenOptions = {}) => {
    const single = config.client === 'better-sqlite3'
    return createKnex({
      ...config,
      acquireConnectionTimeout: acquireTimeout,
      pool: { ...pool, min: 0, max: max ?? (single ? 1 : 10) },
    })
  }
  const knex = connect(options)
  return {
    knex,
    connect,
    config,
    async close() {
      await knex.destroy()
      await remove()
    },
  }
}

async function whyMissing(config: Knex.Config): Promise<string | null> {
  try {
    await once(config, (knex) => knex.raw('select 1'))
    return null
  } catch (error) {
    const reason = `${String(config.client)} cannot be reached: ${error instanceof Error ? error.message : String(error)}`
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(`REQUIRE_SERVICES=1, but ${reason}`)
    return reason
  }
}

async function once(config: Knex.Config, work: (knex: Knex) => Promise<unknown>): Promise<void> {
  const { default: createKnex } = await import('knex')
  const knex = createKnex({ ...config, acquireConnectionTimeout: acquireTimeout, pool: { min: 0, max: 1 } })
  try {
    await work(knex)
  } finally {
    await knex.destroy()
  }
}

function uniqueName(): string {
  return `org_test_${randomBytes(6).toString('hex')}`
}
