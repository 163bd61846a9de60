/** Writes the places of a whole batch into its entries with one statement, handed over as JSON. */
import { dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Link } from '../../audit/chain.js'

/** @throws Error if one of the entries is gone or already has a place. */
export async function writeLinks(db: Knex, table: string, tenantId: string, links: readonly Link[]): Promise<void> {
  const json = JSON.stringify(links)
  const written = await update(db, table, tenantId, json)
  if (written !== links.length) throw new Error(`${written} of ${links.length} audit entries took their places`)
}

async function update(db: Knex, table: string, tenantId: string, json: string): Promise<number> {
  // Not `seq is null`, for which the planners would go through everything that waits.
  const same = 't.tenant_id = ? and t.time = v.time and t.id = v.id and coalesce(t.seq, 0) = 0'
  switch (dialectOf(db)) {
    case 'postgres': {
      // By address, each looked up on its own: without statistics the planner would join the batch with everything there is.
      const { rowCount } = await db.raw(
        `update ?? as t set seq = w.seq, prev_hash = w."prevHash", hash = w.hash from (
           select v.*, (select e.ctid from ?? as e where e.tenant_id = ? and e.time = v.time and e.id = v.id) as at
           from json_to_recordset(?::json) as v(id text, time bigint, seq bigint, "prevHash" text, hash text)
           offset 0
         ) as w where t.ctid = w.at and coalesce(t.seq, 0) = 0`,
        [table, table, tenantId, json],
      )
      return Number(rowCount)
    }
    case 'sqlite': {
      const field = (name: string) => `json_extract(value, '$.${name}') as ${name}`
      // Materialized: each value is taken out of the JSON once.
      const { changes } = await db.raw(
        `with v as materialized (
           select ${['id', 'time', 'seq', 'prevHash', 'hash'].map(field).join(', ')} from json_each(?)
         )
         update ?? as t set seq = v.seq, prev_hash = v.prevHash, hash = v.hash from v where ${same}`,
        [json, table, tenantId],
      )
      return Number(changes)
    }
    case 'mysql': {
      // The values come in the connection's collation; the columns are compared byte by byte.
      const [{ affectedRows }] = await db.raw(
        `update ?? as t join json_table(?, '$[*]' columns (
           id varchar(64) path '$.id', time bigint path '$.time', seq bigint path '$.seq',
           prev_hash varchar(64) path '$.prevHash', hash varchar(64) path '$.hash'
         )) as v on ${same.replace('v.id', 'convert(v.id using utf8mb4) collate utf8mb4_bin')}
         set t.seq = v.seq, t.prev_hash = v.prev_hash, t.hash = v.hash`,
        [table, json, tenantId],
      )
      return Number(affectedRows)
    }
  }
}
