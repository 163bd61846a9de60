import { dialectOf, fieldsOf, integer, KnexTable, text, whereAmong } from '@org/core/knex'
import type { Knex } from 'knex'
import { bucketFields, type StoredStats } from '../../stats/schema.js'
import type { CountedStatus, StatsStore } from '../../stats/store.js'

const columns = fieldsOf<StoredStats>({
  endpointId: text,
  hour: integer,
  tenantId: text,
  attempts: integer,
  failures: integer,
  durationMs: integer,
  maxMs: integer,
  upTo50: integer,
  upTo100: integer,
  upTo250: integer,
  upTo500: integer,
  upTo1000: integer,
  upTo2500: integer,
  upTo5000: integer,
  upTo10000: integer,
  longer: integer,
})

/** Most batches know only a few of them, and a statement costs by its columns: those that are 0 throughout are left out. */
const optional: ReadonlySet<string> = new Set(['failures', ...bucketFields])
const keys: ReadonlySet<string> = new Set(['endpointId', 'hour', 'tenantId'])

/** Each of them stands in an index over so few rows, which SQLite takes only if it is written out. */
const conditions: Record<CountedStatus, string> = {
  pending: "status = 'pending'",
  held: "status = 'held' and status in ('dead_letter', 'held')",
  dead_letter: "status = 'dead_letter' and status in ('dead_letter', 'held')",
}

export function knexStats(db: Knex, prefix: string): StatsStore {
  const table = new KnexTable<StoredStats>(db, `${prefix}stats`, columns)

  async function countUpTo(limit: number, from: (query: Knex.QueryBuilder) => void, name: string): Promise<number> {
    const some = db.select(db.raw('1 as one')).from(`${prefix}${name}`).modify(from).limit(limit)
    const [row] = await db.from(some.as('some')).count({ count: '*' })
    return Number(row?.count)
  }

  const fanning = dialectOf(db) === 'mysql' ? 'fanning' : 'fan_out_after'

  return {
    async add(rows) {
      if (rows.length > 0)
        await db.raw(
          ...addition(
            db,
            table.name,
            rows.map((row) => table.encode(row)),
          ),
        )
    },
    between: (tenantId, endpointId, since, until) =>
      table.all((query) =>
        query
          .where({ tenant_id: tenantId, endpoint_id: endpointId })
          .where('hour', '>=', since)
          .where('hour', '<', until)
          .orderBy('hour'),
      ),
    countOf: (tenantId, endpointId, status, limit) =>
      countUpTo(
        limit,
        (query) => query.where({ endpoint_id: endpointId, tenant_id: tenantId }).whereRaw(conditions[status]),
        'deliveries',
      ),
    countFanOuts: (limit) => countUpTo(limit, (query) => query.whereNotNull(fanning), 'messages'),

    async removeBefore(time, limit) {
      const before = (query: Knex.QueryBuilder) => query.where('hour', '<', time)
      const [oldest] = await table.all((query) => before(query).orderBy('hour').limit(1))
      if (!oldest) return 0
      const { hour } = oldest
      const some = await table.all((query) => query.where('hour', hour).limit(limit))
      const ids = some.map(({ endpointId }) => endpointId)
      return table.remove((query) => whereAmong(query.where('hour', hour), 'endpoint_id', ids))
    },
  }
}

/** Inserts rows, or adds them to those that are there, in their order. */
function addition(db: Knex, name: string, rows: Record<string, unknown>[]): [sql: string, bindings: string[]] {
  const used = columns.filter(([field, column]) => !optional.has(field) || rows.some((row) => row[column] !== 0))
  const names = used.map(([, column]) => column)
  const summed = used.filter(([field]) => !keys.has(field) && field !== 'maxMs').map(([, column]) => column)
  const into = `insert into ${name} (${names.join()})`
  const values = rows.map((row) => names.map((column) => row[column]))
  const onConflict = (greatest: string) => {
    const sums = summed.map((column) => `${column} = ${name}.${column} + excluded.${column}`)
    const max = `max_ms = ${greatest}(${name}.max_ms, excluded.max_ms)`
    return `on conflict (endpoint_id, hour) do update set ${sums.join()}, ${max}`
  }
  switch (dialectOf(db)) {
    case 'postgres': {
      const record = used.map(([, column, { kind }]) => `${column} ${kind === 'text' ? 'text' : 'bigint'}`)
      const from = `select * from json_to_recordset(?::json) as r(${record.join()})`
      return [`${into} ${from} ${onConflict('greatest')}`, [JSON.stringify(rows)]]
    }
    case 'sqlite': {
      const from = `select ${names.map((_, index) => `value->>${index}`).join()} from json_each(?) where true`
      return [`${into} ${from} ${onConflict('max')}`, [JSON.stringify(values)]]
    }
    case 'mysql': {
      const row = `(${names.map(() => '?').join()})`
      const sums = summed.map((column) => `${column} = ${column} + values(${column})`)
      const update = `on duplicate key update ${sums.join()}, max_ms = greatest(max_ms, values(max_ms))`
      return [`${into} values ${rows.map(() => row).join()} ${update}`, values.flat() as string[]]
    }
  }
}
