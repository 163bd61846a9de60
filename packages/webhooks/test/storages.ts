/** Every storage that the tests run on, each opened empty. */
import { memoryDatabase } from '@org/core'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { memoryStorage } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import type { OpenStorage } from '@org/webhooks/testing'

export interface TestStorage {
  name: string
  missing: string | null
  open(): Promise<OpenStorage>
}

/** A pool of 1 makes a query that escapes its transaction hang, and the test fail. */
export async function testStorages(): Promise<TestStorage[]> {
  const databases = await testDatabases()
  return [
    { name: 'memory', missing: null, open: openMemory },
    ...databases.map(({ name, missing, open }) => ({
      name,
      missing,
      open: async () => storageOf(await open({ pool: 1 })),
    })),
  ]
}

async function openMemory(): Promise<OpenStorage> {
  const database = memoryDatabase()
  return {
    storage: memoryStorage({ database }),
    transaction: (work) => database.transaction(work),
    close: async () => {},
  }
}

export async function storageOf(database: OpenDatabase): Promise<OpenStorage> {
  await migrate(database.knex)
  return {
    storage: knexStorage(database.knex),
    transaction: (work) => database.knex.transaction(work),
    close: database.close,
  }
}
