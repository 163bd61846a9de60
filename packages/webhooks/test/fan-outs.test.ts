/** What it costs to find what is to be fanned out: by how many tenants wait, never by how much of each. */
import { testDatabases } from '@org/core/testing'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { message } from '../src/testing/fixtures.js'
import { readsOf, rowsIn } from './reads.js'

const tenants = 5
const messagesOfEach = 400
const idOf = (n: number) => `msg_${String(n).padStart(5, '0')}`

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`what waits to be fanned out on ${database.name}`, () => {
    it.each(['before', 'after'])('is found tenant by tenant, %s the database has looked at the table', async (when) => {
      const { knex, close } = await database.open({ pool: 1 })
      onTestFinished(close)
      await migrate(knex)
      const storage = knexStorage(knex)
      const rows = Array.from({ length: tenants * messagesOfEach }, (_, n) => {
        const done = message({ id: `msg_done_${n}` })
        return [done, message({ id: idOf(n), tenantId: `t_${n % tenants}`, fanOutAfter: '' })]
      })
      await storage.run(({ messages }) => messages.insert(rows.flat()))
      if (when === 'after')
        await knex.raw(database.name === 'mariadb' ? 'analyze table ??' : 'analyze ??', ['webhooks_messages'])
      const statements: { sql: string; bindings: string[] }[] = []
      knex.on('query', (query) => {
        if (/(select|update) .*webhooks_messages/s.test(query.sql)) statements.push(query)
      })
      const find = () => storage.run(({ messages }) => messages.toFanOut(9))
      const all = async () => {
        await find()
        await storage.read(({ messages }) => messages.anyToFanOut('t_0'))
      }
      const reads = database.name === 'mariadb' ? await readsOf(knex, all) : 0
      expect((await find()).map(({ id }) => id)).toEqual(Array.from({ length: tenants }, (_, n) => idOf(n)))
      knex.removeAllListeners('query')
      if (database.name !== 'mariadb') expect(statements.length).toBeGreaterThan(0)
      const plans: string[] = []
      for (const { sql, bindings } of statements) {
        if (database.name === 'mariadb') continue
        const how = database.name === 'sqlite' ? 'explain query plan' : 'explain (analyze, timing off)'
        const plan: Record<string, string>[] = await knex
          .raw(`${how} ${sql.replace(/\$\d+/g, '?')}`, bindings)
          .then((found: { rows?: [] } & []) => found.rows ?? found)
        plans.push(...plan.map((line) => line.detail ?? line['QUERY PLAN'] ?? ''))
      }
      if (database.name === 'sqlite') expect(plans.filter((line) => /SCAN webhooks_messages/.test(line))).toEqual([])
      const read = database.name === 'postgres' ? rowsIn(plans) : reads
      if (database.name !== 'sqlite') expect(read).toBeGreaterThan(0)
      expect(read).toBeLessThan(20 * tenants)
    })
  })
}
