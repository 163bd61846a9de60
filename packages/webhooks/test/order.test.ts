/** What a claim reads of an endpoint that keeps an order: not what waits in a key, and nothing of what has ended. */
import { type TestDatabase, testDatabases } from '@org/core/testing'
import { knexStorage, migrate } from '@org/webhooks/knex'
import type { Knex } from 'knex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { besideOrder, type StoredDelivery } from '../src/deliveries/schema.js'
import { addDeliveries, claim, delivery, idsOf } from '../src/testing/fixtures.js'
import { readsOf, rowsIn } from './reads.js'

const many = 5000
const keys = 10

/** One key of thousands that are due, behind as many that were delivered, and others that have one or no key. */
const rows = (): StoredDelivery[] => [
  ...Array.from({ length: 2 * many }, (_, n) =>
    delivery({
      id: `del_${10_000 + n}`,
      status: n < many ? 'delivered' : 'pending',
      orderKey: 'hot',
      position: n + 1,
      dueAt: 10 + (n >> 5),
    }),
  ),
  ...Array.from({ length: keys }, (_, n) => delivery({ id: `del_a${n}`, orderKey: `k${n}`, position: n, dueAt: 999 })),
  delivery({ id: 'del_b', position: besideOrder, dueAt: 999 }),
]

/** The first 100 that are due a few times over, and some for each key: far from the backlog. */
const fewRows = 1000

interface Statement {
  sql: string
  bindings: string[]
}

/** The statements that `work` ran on the table. */
async function statementsOf(knex: Knex, work: () => Promise<unknown>): Promise<Statement[]> {
  const seen: Statement[] = []
  knex.on('query', (query: Statement) => seen.push(query))
  await work()
  knex.removeAllListeners('query')
  return seen.filter(({ sql }) => /(select|update) .*webhooks_deliveries/s.test(sql))
}

const again = (knex: Knex) =>
  knex('webhooks_deliveries')
    .whereNotNull('lease_token')
    .update({ lease_token: null, lease_until: null, counted: null })

/** Fails if a claim reads more than it should. */
const check: Record<TestDatabase['name'], (knex: Knex, work: () => Promise<unknown>) => Promise<void>> = {
  /** It does not tell how much it reads, but in which order: nothing is sorted but the heads of the keys. */
  async sqlite(knex, work) {
    for (const { sql, bindings } of await statementsOf(knex, work)) {
      const found: { detail: string }[] = await knex.raw(`explain query plan ${sql}`, bindings)
      const plan = found.map(({ detail }) => detail)
      const searches = plan.filter((detail) => /^(SEARCH|SCAN) ([dlo]|webhooks_deliveries)\b/.test(detail))
      const known = [
        /^SEARCH d USING INTEGER PRIMARY KEY/,
        /^SEARCH d USING INDEX sqlite_autoindex_\w+ \(id=\?\)/,
        /^SEARCH d USING INDEX webhooks_deliveries_(due|beside) \(endpoint_id=\? AND due_at<\?\)/,
        /^SEARCH o USING (COVERING )?INDEX webhooks_deliveries_ordered \(endpoint_id=\? AND order_key[=>]\?\)/,
        /^SEARCH webhooks_deliveries USING INDEX webhooks_deliveries_ordered \(endpoint_id=\? AND order_key=\?( AND position>\?)?\)/,
        /^SEARCH l USING INDEX webhooks_deliveries_counted \(endpoint_id=\? AND counted=\?\)/,
      ]
      expect(searches.length).toBeGreaterThan(0)
      expect(searches.filter((line) => !known.some((one) => one.test(line)))).toEqual([])
      const sorts = plan.filter((detail) => detail.includes('TEMP B-TREE'))
      expect(sorts.length).toBeLessThanOrEqual(sql.includes('recursive') ? 1 : 0)
    }
  },
  async postgres(knex, work) {
    const statements = await statementsOf(knex, work)
    await again(knex)
    // Carried out anew, one after the other, as the claim did.
    let sum = 0
    for (const { sql, bindings } of statements) {
      const { rows: plan } = await knex.raw(`explain (analyze, timing off) ${sql.replace(/\$\d+/g, '?')}`, bindings)
      sum += rowsIn(plan.map((row: Record<string, string>) => row['QUERY PLAN'] ?? ''))
    }
    expect(sum).toBeGreaterThan(0)
    expect(sum).toBeLessThan(fewRows)
  },
  async mariadb(knex, work) {
    const sum = await readsOf(knex, work)
    expect(sum).toBeGreaterThan(0)
    expect(sum).toBeLessThan(fewRows)
  },
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing).each(['before', 'after'])(
    `an order on ${database.name} %s the database has looked at the table`,
    (when) => {
      const opened = async () => {
        const { knex, close } = await database.open({ pool: 1 })
        onTestFinished(close)
        await migrate(knex)
        const storage = knexStorage(knex)
        await addDeliveries(storage, ...rows())
        const analyze = database.name === 'mariadb' ? 'analyze table ??' : 'analyze ??'
        if (when === 'after') await knex.raw(analyze, ['webhooks_deliveries'])
        return { knex, storage }
      }

      it('lets a claim read little of a backlog', async () => {
        const { knex, storage } = await opened()
        const taken: string[] = []
        await check[database.name](knex, async () => {
          const claimed = await claim(storage, { ordered: new Set(['ep_1']), rooms: new Map([['ep_1', 20]]) })
          taken.push(...idsOf(claimed))
        })
        const others = Array.from({ length: keys }, (_, n) => `del_a${n}`)
        expect(taken).toEqual([`del_${10_000 + many}`, ...others, 'del_b'])
      })

      it('shows its end, and what is behind a place, without the rest', async () => {
        const { knex, storage } = await opened()
        const end: unknown[] = []
        await check[database.name](knex, () =>
          storage.run(async ({ deliveries }) => {
            end.push(await deliveries.lastInOrder('ep_1', 'hot'))
            await deliveries.moveBehind('ep_1', 'hot', 2 * many - 3, 5000)
          }),
        )
        expect(end).toMatchObject([{ position: 2 * many }])
        expect(await knex('webhooks_deliveries').where('due_at', 5000).count({ count: '*' })).toMatchObject([
          { count: database.name === 'postgres' ? '3' : 3 },
        ])
      })
    },
  )
}
