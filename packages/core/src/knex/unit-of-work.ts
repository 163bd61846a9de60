/** The unit of work over the host's own Knex instance. */
import type { Knex } from 'knex'
import { coreErrors, isProblem } from '../errors.js'
import type { Storage, Tx } from '../storage.js'
import { dialectOf, endsMysqlTransaction, isLockTimeout, isMissingTable } from './dialect.js'
import { withoutValues } from './redact.js'
import { retryOnContention } from './retry.js'

export interface KnexUnitOfWorkOptions<Stores> {
  /** Builds the stores over one handle; no store may reach for another one. */
  bind: (db: Knex) => Stores
  /** The prefix of the module's tables. */
  prefix: string
  /** Named in the error about missing tables, such as `@org/webhooks/knex`. */
  migrateFrom: string
}

/** Serves SQLite, PostgreSQL, MySQL 8 and MariaDB 10.6+. */
export function knexUnitOfWork<Stores>(knex: Knex, options: KnexUnitOfWorkOptions<Stores>): Storage<Stores> {
  const dialect = dialectOf(knex)
  const { bind } = options
  // The default there locks the gaps between index entries, so that those who insert block each other; PostgreSQL's own
  // default is this one. A host's transaction keeps its own.
  const config: Knex.TransactionConfig = dialect === 'mysql' ? { isolationLevel: 'read committed' } : {}

  // A transaction's client shares its pool's `config` object; nothing else identifies the database it is on.
  const sameDatabase = (tx: Tx): tx is Knex.Transaction =>
    'client' in tx && (tx as Knex.Transaction).client?.config === knex.client.config && 'isCompleted' in tx
  const owns = (tx: Tx): tx is Knex.Transaction => sameDatabase(tx) && !tx.isCompleted()
  const checked = (tx: Tx) => {
    if (owns(tx)) return tx
    const detail = sameDatabase(tx)
      ? 'The transaction has already been committed or rolled back.'
      : 'Pass a transaction of the same Knex instance that the storage was made with.'
    throw coreErrors.foreign_transaction({ detail })
  }

  const explain = (error: unknown) => {
    if (isProblem(error)) return error
    if (isLockTimeout(error)) {
      const detail = 'Another transaction has locked a row for too long.'
      return coreErrors.busy({ detail, cause: withoutValues(error, options.prefix) })
    }
    const missing = isMissingTable(error) && String((error as Error).message).includes(options.prefix)
    const cause = withoutValues(error, options.prefix)
    if (!missing) return cause
    const detail = `Call \`await migrate(knex)\` from '${options.migrateFrom}' before you use the module.`
    return coreErrors.not_migrated({ detail, cause })
  }

  const inOwn = <T>(work: (stores: Stores, tx: Tx) => Promise<T>, lockTimeoutMs?: number): Promise<T> =>
    retryOnContention(() =>
      knex.transaction(async (trx) => {
        if (dialect === 'sqlite') await takeWriteLock(trx, options.prefix)
        const working = () => work(bind(trx), trx)
        return lockTimeoutMs === undefined ? working() : withLockTimeout(trx, lockTimeoutMs, working)
      }, config),
    )

  async function joined<T>(tx: Knex.Transaction, work: (stores: Stores, tx: Tx) => Promise<T>): Promise<T> {
    try {
      return await tx.transaction(async (savepoint) => {
        // A host that has not written yet would find the lock taken later, between our first read and our first write.
        if (dialect === 'sqlite') await takeWriteLock(savepoint, options.prefix)
        return work(bind(savepoint), savepoint)
      })
    } catch (error) {
      // The host must not go on and commit what is left of a transaction that the database has already undone.
      if (dialect === 'mysql' && endsMysqlTransaction(error)) await outermost(tx).rollback(error)
      throw error
    }
  }

  async function alongside<T>(tx: Knex.Transaction, work: (stores: Stores, tx: Tx) => Promise<T>): Promise<T> {
    try {
      return await work(bind(tx), tx)
    } catch (error) {
      // PostgreSQL takes no more statements, and would answer the host's COMMIT with a rollback that Knex calls a success.
      // Elsewhere a part of the work may have been written, which nobody may commit.
      const gone = dialect === 'mysql' && endsMysqlTransaction(error)
      if (!isProblem(error)) await (gone ? outermost(tx) : tx).rollback(error)
      throw error
    }
  }

  return {
    owns,
    async run(work, tx, { savepoint = true, lockTimeoutMs } = {}) {
      try {
        if (!tx) return await inOwn(work, lockTimeoutMs)
        return await (savepoint ? joined(checked(tx), work) : alongside(checked(tx), work))
      } catch (error) {
        throw explain(error)
      }
    },
    async read(work, tx) {
      try {
        return await work(bind(tx ? checked(tx) : knex))
      } catch (error) {
        throw explain(error)
      }
    },
  }
}

function outermost(tx: Knex.Transaction): Knex.Transaction {
  return tx.parentTransaction ? outermost(tx.parentTransaction) : tx
}

/**
 * A SQLite transaction that reads first and writes later fails with SQLITE_BUSY_SNAPSHOT if anybody wrote in between,
 * and busy_timeout does not help. A write that touches no row takes the lock at the start; Knex has no BEGIN IMMEDIATE.
 */
async function takeWriteLock(trx: Knex.Transaction, prefix: string): Promise<void> {
  await trx(`${prefix}migrations`).where('name', '').delete()
}

/**
 * MySQL knows it for a session only, and in seconds: none for less than one, where MariaDB does not wait at all. The
 * session goes back to the host's pool as it was, also when somebody has ended the transaction meanwhile.
 */
async function withLockTimeout<T>(trx: Knex.Transaction, ms: number, work: () => Promise<T>): Promise<T> {
  switch (dialectOf(trx)) {
    case 'sqlite':
      return work()
    case 'postgres':
      await trx.raw(`set local lock_timeout = ${Math.ceil(ms)}`)
      return work()
    case 'mysql': {
      const name = 'innodb_lock_wait_timeout'
      const connection: MysqlConnection = await trx.client.acquireConnection()
      await trx.raw(`set @org_wait = @@session.${name}, session ${name} = ${Math.floor(ms / 1000)}`)
      try {
        return await work()
      } finally {
        // A connection that is gone has nothing to set back.
        await new Promise<void>((resolve) => connection.query(`set session ${name} = @org_wait`, () => resolve()))
      }
    }
  }
}

interface MysqlConnection {
  query(sql: string, callback: () => void): void
}
