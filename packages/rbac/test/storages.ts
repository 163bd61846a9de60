/** The four storages that behaviour is tested on. */
import { memoryDatabase, type Tx } from '@org/core'
import { type OpenOptions, testDatabases } from '@org/core/testing'
import { memoryStorage, type RbacStorage } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import type { OpenStorage } from '@org/rbac/testing'
import type { Knex } from 'knex'

export interface OpenTarget extends OpenStorage {
  /** As a second process would open it. */
  second(): RbacStorage
  transaction<T>(work: (tx: Tx) => Promise<T>, config?: Knex.TransactionConfig): Promise<T>
}

export interface StorageTarget {
  name: string
  missing: string | null
  open(options?: OpenOptions): Promise<OpenTarget>
}

export async function storages(): Promise<StorageTarget[]> {
  const databases = await testDatabases()
  return [
    {
      name: 'memory',
      missing: null,
      async open() {
        const database = memoryDatabase()
        const storage = memoryStorage({ database })
        return { storage, second: () => storage, transaction: database.transaction, close: async () => {} }
      },
    },
    ...databases.map(({ name, missing, open }) => ({
      name,
      missing,
      async open(options?: OpenOptions) {
        const database = await open(options)
        await migrate(database.knex)
        const others: ReturnType<typeof database.connect>[] = []
        return {
          storage: knexStorage(database.knex),
          second() {
            const knex = database.connect()
            others.push(knex)
            return knexStorage(knex)
          },
          transaction: <T>(work: (tx: Tx) => Promise<T>, config?: Knex.TransactionConfig) =>
            database.knex.transaction((tx) => work(tx), config),
          async close() {
            for (const knex of others) await knex.destroy()
            await database.close()
          },
        }
      },
    })),
  ]
}
