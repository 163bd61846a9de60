/** Writes the places of a whole batch into its entries with one statement. */
import { dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'
import { EntriesMoved, type Link } from '../../audit/chain.js'

/** @throws Error if one of the entries is gone or already has a place. */
export async function writeLinks(db: Knex, table: string, tenantId: string, links: readonly Link[]): Promise<void> {
  const written = await update(db, table, tenantId, links)
  if (written !== links.length) throw new EntriesMoved(`${written} of ${links.length} audit entries took their places`)
}

async function update(db: Knex, table: string, tenantId: string, links: readonly Link[]): Promise<number> {
  // Not `seq is null`, for which the planners would go through everything that waits.
  const same = 't.tenant_id = ? and t.time = v.time and t.id = v.id and coalesce(t.seq, 0) = 0'
  switch (dialectOf(db)) {
    case 'postgres': {
      // By address: a planner whose statistics know nothing of this tenant takes any index to look them up by. A row that
      // was written anew since it was read has another address: the sealer reads once more.
      const { rowCount } = await db.raw(
        `update ?? as t set seq = v.seq, prev_hash = v.prev_hash, hash = v.hash
         from unnest(?::text[]::tid[], ?::text[], ?::bigint[], ?::text[], ?::text[]) as v(at, id, seq, prev_hash, hash)
         where t.ctid = v.at and t.id = v.id and t.tenant_id = ? and coalesce(t.seq, 0) = 0`,
        [
          table,
          ...[links.map(({ at }) => String(at)), links.map(({ id }) => id), links.map(({ seq }) => seq)],
          ...[links.map(({ prevHash }) => prevHash), links.map(({ hash }) => hash), tenantId],
        ],
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
        [JSON.stringify(links), table, tenantId],
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
        [table, JSON.stringify(links), tenantId],
      )
      return Number(affectedRows)
    }
  }
}
