/** Storage contracts: cases that know no test runner, and the four storages of ours that they run on. */
import type { Knex } from 'knex'
import { type MemoryDatabase, memoryDatabase } from '../memory/database.js'
import type { Tx } from '../storage.js'
import { type OpenOptions, type TestDatabase, testDatabases } from './databases.js'

/** A storage under test. */
export interface OpenStorage<Storage> {
  /** Empty, and migrated. */
  storage: Storage
  /** A transaction of the host's on the same database; its end is the end of `work`. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ContractCase<Storage> {
  name: string
  /** Opens a storage of its own, and closes it. @throws AssertionError */
  run(open: () => Promise<OpenStorage<Storage>>): Promise<void>
}

/** One case of a contract. */
export function contractCase<Storage>(
  name: string,
  check: (opened: OpenStorage<Storage>) => Promise<void>,
): ContractCase<Storage> {
  return {
    name,
    async run(open) {
      const opened = await open()
      try {
        await check(opened)
      } finally {
        await opened.close()
      }
    },
  }
}

export interface OpenTarget<Storage> extends OpenStorage<Storage> {
  /** The same data as a second process would open it. */
  second(): Storage
  transaction<T>(work: (tx: Tx) => Promise<T>, config?: Knex.TransactionConfig): Promise<T>
}

export interface StorageTarget<Storage> {
  name: string
  missing: string | null
  open(options?: OpenOptions): Promise<OpenTarget<Storage>>
}

/** How a module makes its storages. */
export interface StorageMaker<Storage> {
  memory(options: { database: MemoryDatabase }): Storage
  knex(knex: Knex): Storage
  migrate(knex: Knex): Promise<unknown>
}

/** Memory, SQLite, PostgreSQL and MariaDB. */
export async function storageTargets<Storage>(make: StorageMaker<Storage>): Promise<StorageTarget<Storage>[]> {
  const memory: StorageTarget<Storage> = {
    name: 'memory',
    missing: null,
    async open() {
      const database = memoryDatabase()
      const storage = make.memory({ database })
      return { storage, second: () => storage, transaction: database.transaction, close: async () => {} }
    },
  }
  return [memory, ...(await testDatabases()).map((database) => knexTarget(make, database))]
}

function knexTarget<Storage>(
  make: StorageMaker<Storage>,
  { name, missing, open }: TestDatabase,
): StorageTarget<Storage> {
  return {
    name,
    missing,
    async open(options) {
      const database = await open(options)
      await make.migrate(database.knex)
      const others: Knex[] = []
      return {
        storage: make.knex(database.knex),
        second() {
          const knex = database.connect()
          others.push(knex)
          return make.knex(knex)
        },
        transaction: (work, config) => database.knex.transaction((tx) => work(tx), config),
        async close() {
          for (const knex of others) await knex.destroy()
          await database.close()
        },
      }
    },
  }
}
