/**
 * Deliveries in bulk: one message is published to each endpoint, and then its rows are multiplied in SQL, which is much
 * faster than publishing. Only the columns named here are known; all others are copied as they are.
 */
import type { Knex } from 'knex'
import type { BenchDatabase } from './database.js'
import { eventData } from './post.js'

const deliveries = 'webhooks_deliveries'
const messages = 'webhooks_messages'
const attempts = 'webhooks_attempts'
const numbers = 'bench_numbers'
const seedOf = (table: string) => `bench_${table}`

const day = 24 * 60 * 60 * 1000
/** How much has been due for how long at the most, in milliseconds. */
const age = 60 * 60 * 1000

/** An endpoint at each URL, of a tenant of its own (`tenant_0` and so on), and up to so many rows to come for each. */
export async function seed({ knex, webhooks }: BenchDatabase, urls: readonly string[], copies: number): Promise<void> {
  for (const [n, url] of urls.entries()) {
    const tenantId = `tenant_${n}`
    await webhooks.endpoints.create({ tenantId }, { url })
    await webhooks.publish({ tenantId, type: 'request.completed', data: eventData(n) })
  }
  for (const table of [deliveries, messages]) {
    await knex.raw('create table ?? as select * from ??', [seedOf(table), table])
    await knex(table).delete()
  }
  await knex.schema.createTable(numbers, (table) => table.integer('n').primary())
  const rows = Array.from({ length: copies }, (_, n) => ({ n }))
  await knex.batchInsert(numbers, rows, 500)
}

/** Takes away everything that was laid out, and what became of it. */
export async function clear({ knex }: BenchDatabase): Promise<void> {
  for (const table of [attempts, deliveries, messages]) await knex(table).truncate()
}

/** Takes away what was due, and what became of it. */
export async function clearDue({ knex }: BenchDatabase): Promise<void> {
  await knex(attempts).truncate()
  await knex(messages).truncate()
  await knex(deliveries).whereNot('status', 'pending').delete()
}

/** So many messages for each endpoint of those tenants, with one delivery each that is due. */
export async function layOutDue(database: BenchDatabase, copies: number, tenants?: readonly string[]): Promise<void> {
  const from = Date.now() - age
  const choose = (query: Knex.QueryBuilder) => {
    query.where('n', '<', copies)
    if (tenants) query.whereIn('tenant_id', tenants)
  }
  await multiply(database, messages, { id: `concat(id, '_', n)` }, choose)
  const changes = { id: `concat(id, '_', n)`, message_id: `concat(message_id, '_', n)`, due_at: `${from} + n` }
  await multiply(database, deliveries, changes, choose)
  await settle(database)
}

/** So many deliveries for each endpoint that are not due for a day or more. SQLite and PostgreSQL only. */
export async function layOutLater(database: BenchDatabase, copies: number): Promise<void> {
  const from = Date.now() + day
  const changes = { id: `concat(id, '_later_', n)`, due_at: `${from} + n * 1000` }
  const indexes = await indexesOf(database)
  // Ten times as fast, and packed as tightly as on the other side.
  for (const { name } of indexes) await database.knex.raw('drop index ??', [name])
  await multiply(database, deliveries, changes, (query) => void query.where('n', '<', copies))
  for (const { sql } of indexes) await database.knex.raw(sql)
}

/** Those of the deliveries that were made by a statement of their own. */
async function indexesOf({ name, knex }: BenchDatabase): Promise<{ name: string; sql: string }[]> {
  if (name === 'sqlite') {
    return knex('sqlite_master')
      .where({ type: 'index', tbl_name: deliveries })
      .whereNotNull('sql')
      .select('name', 'sql')
  }
  const own = knex('pg_indexes').whereRaw('schemaname = current_schema()').where({ tablename: deliveries })
  return own.whereNot('indexname', 'like', '%_pkey').select({ name: 'indexname', sql: 'indexdef' })
}

/** Those that can be written. */
async function columnsOf(name: BenchDatabase['name'], knex: Knex, table: string): Promise<string[]> {
  const all = Object.keys(await knex(table).columnInfo())
  if (name !== 'mariadb') return all
  const [rows]: { of: string }[][] = await knex.raw(
    `select column_name as \`of\` from information_schema.columns
     where table_schema = database() and table_name = ? and extra like '%GENERATED%'`,
    [table],
  )
  return all.filter((column) => !rows?.some(({ of }) => of === column))
}

/** Every row of the table's seed for every number, with some columns made anew. */
async function multiply(
  { name, knex }: BenchDatabase,
  table: string,
  changes: Record<string, string>,
  choose: (query: Knex.QueryBuilder) => void,
): Promise<void> {
  const columns = await columnsOf(name, knex, table)
  for (const column of Object.keys(changes)) {
    if (!columns.includes(column)) throw new Error(`${table} has no column ${column} anymore: tell the bench.`)
  }
  const chosen = columns.map((column) => knex.raw(changes[column] ?? '??', changes[column] ? [] : [column]))
  const rows = knex(seedOf(table))
    .crossJoin(knex.raw('??', [numbers]))
    .select(chosen)
    .orderBy('n')
  choose(rows)
  await knex(knex.raw('?? (??)', [table, columns])).insert(rows)
}

/**
 * So that plans are what they would be after a while, and nothing of the laying out goes on while it is measured.
 * SQLite knows no statistics unless a host asks for them, which hardly any does.
 */
export async function settle({ name, knex }: BenchDatabase): Promise<void> {
  for (const table of [deliveries, messages]) {
    if (name === 'postgres') await knex.raw('vacuum analyze ??', [table])
    if (name === 'mariadb') await knex.raw('analyze table ??', [table])
  }
  await knex.raw(
    name === 'sqlite' ? 'pragma wal_checkpoint(truncate)' : name === 'postgres' ? 'checkpoint' : 'select 1',
  )
}

/** @throws unless so many are done, each with its attempt in the log, and none of those that were due is left. */
export async function checkDelivered({ knex }: BenchDatabase, count: number): Promise<void> {
  const due = knex(deliveries).where('due_at', '<', Date.now() + day / 2)
  const states: { status: string; count: unknown }[] = await due
    .select('status')
    .count({ count: '*' })
    .groupBy('status')
  const logged = Number((await knex(attempts).count({ count: '*' }))[0]?.count)
  const found = Object.fromEntries(states.map((state) => [state.status, Number(state.count)]))
  if (found.delivered === count && states.length === 1 && logged === count) return
  throw new Error(`${count} deliveries became ${JSON.stringify(found)}, with ${logged} attempts in the log.`)
}
