/** A database for a benchmark, and the transaction that both sides run in. */
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import type { Knex } from 'knex'
import type { Comparison } from './harness.js'

interface Sides {
  subject(tx: Knex.Transaction): Promise<unknown>
  reference(tx: Knex.Transaction): Promise<unknown>
}

/** One comparison for each database that is there; each unit of work is a transaction of the host's. */
export async function inTransactions(
  what: Omit<Comparison, 'open' | 'floor'>,
  prepare: (db: OpenDatabase) => Promise<Sides>,
): Promise<Comparison[]> {
  const databases = (await testDatabases()).filter(({ missing }) => !missing)
  return databases.map(({ name, open }) => ({
    ...what,
    bench: `${what.bench}-${name}`,
    floor: null,
    async open() {
      const db = await open()
      const { subject, reference } = await prepare(db)
      return {
        subject: () => db.knex.transaction(subject),
        reference: () => db.knex.transaction(reference),
        close: db.close,
      }
    },
  }))
}
