import type { Knex } from 'knex'
import { dialectOf } from './dialect.js'

/** The time of a database that several machines may share, in epoch milliseconds; null for SQLite, which has its host's. */
export async function databaseNow(db: Knex): Promise<number | null> {
  switch (dialectOf(db)) {
    case 'postgres': {
      const { rows } = await db.raw('select extract(epoch from clock_timestamp()) as seconds')
      return Number(rows[0].seconds) * 1000
    }
    case 'mysql': {
      const [rows] = await db.raw('select unix_timestamp(now(3)) as seconds')
      return Number(rows[0].seconds) * 1000
    }
    case 'sqlite':
      return null
  }
}
