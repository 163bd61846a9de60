import { dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'

/** The rows in what each driver's `raw` answers with. */
export function rowsOf<Row>(db: Knex, found: unknown): Row[] {
  switch (dialectOf(db)) {
    case 'postgres':
      return (found as { rows: Row[] }).rows
    case 'mysql':
      return (found as [Row[]])[0]
    case 'sqlite':
      return found as Row[]
  }
}
