/** What a worker knows of what is due, and how the databases find it: by one index, whatever else there is. */
import { type TestDatabase, testDatabases } from '@org/core/testing'
import { knexStorage, migrate } from '@org/webhooks/knex'
import type { Knex } from 'knex'
import { describe, expect, it } from 'vitest'
import type { StoredDelivery } from '../src/deliveries/schema.js'
import { Agenda } from '../src/delivery/agenda.js'
import { addDeliveries, claim, delivery } from '../src/testing/fixtures.js'

const all = () => true

describe('an agenda', () => {
  const agendaOf = (due: Record<string, number>) => {
    const agenda = new Agenda()
    agenda.replace(Object.entries(due).map(([endpointId, dueAt]) => ({ endpointId, dueAt })))
    return agenda
  }

  it('names those that are due and have room, as many as asked for', () => {
    const agenda = agendaOf({ a: 10, b: 11, c: 5, d: 1 })
    expect(agenda.due(10, 9, all)).toEqual(['a', 'c', 'd'])
    expect(agenda.due(10, 2, all)).toEqual(['a', 'c'])
    expect(agenda.due(10, 2, (id) => id !== 'a')).toEqual(['c', 'd'])
    expect(agenda.nextAfter(10)).toBe(11)
    expect(agenda.nextAfter(11)).toBe(null)
  })

  it('gives whoever was served its next turn after the others, also when it asks the database again', () => {
    const agenda = agendaOf({ a: 1, b: 1, c: 1 })
    agenda.served('a', true)
    agenda.served('b', false)
    expect(agenda.due(1, 9, all)).toEqual(['c', 'a'])
    agenda.replace(['a', 'b', 'c'].map((endpointId) => ({ endpointId, dueAt: 2 })))
    expect(agenda.due(2, 9, all)).toEqual(['c', 'a', 'b'])
    expect(agenda.due(1, 9, all)).toEqual([])
    agenda.replace([{ endpointId: 'b', dueAt: 2 }])
    expect(agenda.due(2, 9, all)).toEqual(['b'])
  })

  it('takes note of what is due sooner, not of what is due later, and puts off what must wait', () => {
    const agenda = agendaOf({ a: 5 })
    agenda.note('a', 9)
    agenda.note('b', 7)
    expect(agenda.due(6, 9, all)).toEqual(['a'])
    agenda.putOff('a', 8)
    agenda.putOff('none', 1)
    expect(agenda.due(7, 9, all)).toEqual(['b'])
    agenda.note('a', 3)
    expect(agenda.due(3, 9, all)).toEqual(['a'])
  })
})

const table = 'webhooks_deliveries'
const endpoints = 100
const idOf = (n: number) => `ep_${String(n % endpoints).padStart(3, '0')}`

/** 20,000 rows: half of them ended, the others to be sent later, and 400 due, of which half stand in an order. */
function rows(): StoredDelivery[] {
  return Array.from({ length: 20_000 }, (_, n) =>
    delivery({
      id: `del_${n}`,
      endpointId: idOf(n),
      messageId: `msg_${n}`,
      status: n < 10_000 ? 'delivered' : 'pending',
      dueAt: n < 19_600 ? 1_000_000 + n : 900,
      orderKey: n >= 19_800 ? `k${n}` : null,
      position: n,
    }),
  )
}

/** What the planner says of each table that a statement reads, and through which of its indexes. */
const plans: Record<TestDatabase['name'], (knex: Knex, sql: string, bindings: string[]) => Promise<string[]>> = {
  async sqlite(knex, sql, bindings) {
    const plan: { detail: string }[] = await knex.raw(`explain query plan ${sql}`, bindings)
    return plan.map(({ detail }) => detail).filter((detail) => /^(SCAN|SEARCH) (webhooks_|[dlo]\b)/.test(detail))
  },
  async postgres(knex, sql, bindings) {
    // What reads is carried out, so that it tells how many rows it went through. Knex numbers the parameters by itself.
    const how = sql.startsWith('update') ? 'explain' : 'explain (analyze, timing off)'
    const { rows: plan } = await knex.raw(`${how} ${sql.replace(/\$\d+/g, '?')}`, bindings)
    const lines = plan.map((row: Record<string, string>) => row['QUERY PLAN'] ?? '')
    return lines.filter((line: string) => /Scan.* on webhooks_deliveries/.test(line))
  },
  async mariadb(knex, sql, bindings) {
    const [plan] = await knex.raw(`explain ${sql}`, bindings)
    const tables = (plan as { table: string | null; type: string; key: string; Extra: string }[]).filter(
      ({ table }) => table !== null && !table.startsWith('<'),
    )
    return tables.map(({ table, type, key, Extra }) => `${type} ${table} ${key} ${Extra}`)
  },
}

/** A walk over a whole table, or a whole index. */
const scan = /^SCAN|Seq Scan|^(ALL|index) /

/** How an agenda steps from one endpoint to the next, instead of over all that each of them has. */
const steps: Record<TestDatabase['name'], (plan: string[]) => boolean> = {
  sqlite: (plan) => plan.every((line) => line.startsWith('SEARCH')),
  postgres: (plan) => plan.reduce((sum, line) => sum + rowsOf(line), 0) <= endpoints + 1,
  mariadb: (plan) => plan.every((line) => line.includes('Using index for group-by')),
}

/** What PostgreSQL says a node of a plan has read. */
function rowsOf(line: string): number {
  const [, count = Number.NaN, loops = Number.NaN] = /actual rows=([\d.]+) loops=(\d+)/.exec(line) ?? []
  return Number(count) * Number(loops)
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`what is due on ${database.name}`, () => {
    it.each(['before', 'after'])('is found by its index %s the database has looked at the table', async (when) => {
      const { knex, close } = await database.open({ pool: 1 })
      try {
        await migrate(knex)
        const storage = knexStorage(knex)
        await addDeliveries(storage, ...rows())
        if (when === 'after') await knex.raw(database.name === 'mariadb' ? 'analyze table ??' : 'analyze ??', [table])
        const seen: { sql: string; bindings: string[] }[] = []
        knex.on('query', ({ sql, bindings }) => seen.push({ sql, bindings }))
        expect(await storage.read(({ deliveries }) => deliveries.agenda())).toHaveLength(endpoints)
        const rooms = new Map(Array.from({ length: 40 }, (_, n) => [idOf(n), 3]))
        const ordered = new Set([...rooms.keys()].slice(20))
        expect((await claim(storage, { rooms, ordered })).deliveries).toHaveLength(40 * 3)
        knex.removeAllListeners('query')

        const statements = seen.filter(({ sql }) => sql.includes(table))
        // The agenda, the claim without an order and with one; MariaDB leases by statements of their own.
        const [leases, others] = [true, false].map((is) =>
          statements.filter(({ sql }) => sql.startsWith('update') === is),
        )
        expect([others?.length, leases?.length]).toEqual([3, database.name === 'mariadb' ? 2 : 0])
        for (const [index, { sql, bindings }] of [...(others ?? []), ...(leases ?? [])].entries()) {
          const plan = await plans[database.name](knex, sql, bindings)
          expect(plan.length).toBeGreaterThan(0)
          expect([sql, plan.filter((line) => scan.test(line))]).toEqual([sql, []])
          if (index === 2) expect(plan.some((line) => line.includes(`${table}_ordered`)) && sql).toBe(sql)
          if (index === 0) expect([plan, steps[database.name](plan)]).toEqual([plan, true])
          if (index < 3) expect(plan.some((line) => line.includes(`${table}_due`)) && sql).toBe(sql)
        }
      } finally {
        await close()
      }
    })

    it('is found also by a host whose Knex renames columns', async () => {
      const { knex, close } = await database.open({ pool: 1 })
      try {
        await migrate(knex)
        knex.client.config.postProcessResponse = (result: unknown) =>
          Array.isArray(result) ? result.map(camel) : result
        const storage = knexStorage(knex)
        await addDeliveries(storage, delivery(), delivery({ id: 'del_2', endpointId: 'ep_2', dueAt: 5 }))
        const agenda = await storage.read(({ deliveries }) => deliveries.agenda())
        expect(agenda).toHaveLength(2)
        expect(agenda).toContainEqual({ endpointId: 'ep_1', dueAt: 900 })
        const claimed = await claim(storage, { counted: new Set(['ep_1']) })
        expect(claimed.deliveries).toMatchObject([{ id: 'del_1', endpointId: 'ep_1' }])
        const inFlight = await storage.read(({ deliveries }) => deliveries.inFlight(['ep_1', 'ep_2'], 1000))
        expect([...inFlight]).toEqual([['ep_1', 1]])
      } finally {
        await close()
      }
    })
  })
}

/** As the mappers that hosts use do it: an array is left as it is. */
function camel(row: unknown): unknown {
  if (row === null || typeof row !== 'object' || Array.isArray(row)) return row
  const name = (column: string) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [name(column), value]))
}
