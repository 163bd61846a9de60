/** The four storages that behaviour is tested on. */
import { memoryDatabase, type Tx } from '@org/core'
import { type OpenOptions, testDatabases } from '@org/core/testing'
import { memoryStorage, type RbacStorage } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import type { OpenStorage } from '@org/rbac/testing'

export interface StorageTarget {
  name: string
  missing: string | null
  open(options?: OpenOptions): Promise<OpenStorage & { second(): RbacStorage }>
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
          /** As a second process would open it. */
          second() {
            const knex = database.connect()
            others.push(knex)
            return knexStorage(knex)
          },
          transaction: <T>(work: (tx: Tx) => Promise<T>) => database.knex.transaction((tx) => work(tx)),
          async close() {
            for (const knex of others) await knex.destroy()
            await database.close()
          },
        }
      },
    })),
  ]
}
