/** Tells when somebody waits for a lock. */
import type { Knex } from 'knex'
import { expect } from 'vitest'

/** Until some transaction waits for a lock, and has to do with that table: this one's, as others run tests of their own. */
export async function waitsFor(knex: Knex, table: string): Promise<void> {
  const waiting = async () => {
    if (knex.client.config.client === 'pg') {
      const activity = knex('pg_stat_activity as a').join('pg_locks as l', 'l.pid', 'a.pid')
      const ours = activity.where('a.wait_event_type', 'Lock').whereRaw('l.relation = to_regclass(?)', [table])
      return (await ours.select('a.pid')).length
    }
    const waits = knex('information_schema.innodb_trx as t')
      .join('information_schema.processlist as p', 'p.id', 't.trx_mysql_thread_id')
      .where('t.trx_state', 'LOCK WAIT')
      .whereRaw('p.db = database()')
    return (await waits.where('t.trx_query', 'like', `%${table}%`).select('t.trx_id')).length
  }
  // MariaDB answers the same until nobody has asked for 100 ms.
  await expect.poll(waiting, { interval: 250 }).toBeGreaterThan(0)
}
