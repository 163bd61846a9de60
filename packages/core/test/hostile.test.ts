/** What a reviewer broke once, and must stay mended: storage, on the databases where it happened. */
import { setTimeout as delay } from 'node:timers/promises'
import {
  createRuntime,
  type IdempotencyStore,
  type MemoryRows,
  MemoryTable,
  memoryDatabase,
  type Storage,
  type Tx,
} from '@org/core'
import {
  applyMigrations,
  createTable,
  idempotencyMigration,
  KnexTable,
  knexIdempotency,
  knexUnitOfWork,
  type Migration,
  text,
} from '@org/core/knex'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onceForKey } from '../src/idempotency.js'

interface Item {
  id: string
  owner: string
}

const columns = { id: text, owner: text }
const items = createTable('0001-items', 'items', (column, table, named) => {
  column.id('id').primary()
  column.text('owner')
  column.id('name').nullable()
  table.unique(['name'], { indexName: named('name') })
})
const steps = [idempotencyMigration, items]

interface Stores {
  items: KnexTable<Item>
  idempotency: IdempotencyStore
}

const storageOf = (knex: Knex): Storage<Stores> =>
  knexUnitOfWork(knex, {
    prefix: 'demo_',
    migrateFrom: '@org/demo/knex',
    bind: (db) => ({
      items: new KnexTable<Item>(db, 'demo_items', columns),
      idempotency: knexIdempotency(db, 'demo_'),
    }),
  })

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`on ${name}`, () => {
    let db: OpenDatabase
    beforeAll(async () => {
      db = await open()
      await applyMigrations(db.knex, steps, 'demo_')
    })
    afterAll(() => db.close())

    it('a condition without a value is an error, never every row', async () => {
      const table = new KnexTable<Item>(db.knex, 'demo_items', columns)
      await table.insert({ id: 'kept', owner: 'anna' })
      const nothing = { owner: undefined } as unknown as Partial<Item>
      for (const call of [
        () => table.all(nothing),
        () => table.find(nothing),
        () => table.lock(nothing),
        () => table.remove(nothing),
        () => table.update(nothing, { owner: 'eve' }),
      ]) {
        await expect(call()).rejects.toThrow('the condition on "owner" has no value')
      }
      expect(await table.find({ id: 'kept' })).toEqual({ id: 'kept', owner: 'anna' })
    })

    it('takes any text of any script, and refuses U+0000 before the database does', async () => {
      const table = new KnexTable<Item>(db.knex, 'demo_items', columns)
      await table.insert({ id: 'script', owner: '日本 ☕ 𝒳' })
      expect((await table.find({ id: 'script' }))?.owner).toBe('日本 ☕ 𝒳')
      await expect(table.find({ id: 'a\0b' })).rejects.toMatchObject({ status: 422 })
    })

    it('inserts more rows than one statement takes', async () => {
      const table = new KnexTable<Item>(db.knex, 'demo_items', columns)
      await table.insert(Array.from({ length: 1200 }, (_, i) => ({ id: `bulk-${i}`, owner: 'bulk' })))
      expect(await table.all({ owner: 'bulk' })).toHaveLength(1200)
    })

    it('does the work of twins once, however many there are', async () => {
      const storage = storageOf(db.knex)
      const actor = { type: 'user' as const, id: 'anna' }
      let done = 0
      const claims = Array.from({ length: 40 }, () =>
        storage.run(({ idempotency }) =>
          onceForKey(idempotency, { tenantId: 'acme', actor, routeId: 'r', key: 'k', input: 1 }, 1000, async () => {
            done++
            return { status: 201, body: '{}' }
          }),
        ),
      )
      const answers = await Promise.all(claims)
      expect(done).toBe(1)
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    })

    it('keeps the keys of two users apart, and takes over an expired one', async () => {
      const storage = storageOf(db.knex)
      const claim = (id: string, now: number) =>
        storage.run(({ idempotency }) => {
          const request = { tenantId: 'acme', actor: { type: 'user' as const, id }, routeId: 'r', key: 'k2', input: 1 }
          return onceForKey(idempotency, request, now, async () => ({ status: 201, body: id }))
        })
      expect((await claim('anna', 1000)).response.body).toBe('anna')
      expect((await claim('bob', 1000)).response.body).toBe('bob')
      expect((await claim('anna', 1000)).replayed).toBe(true)
      const dayLater = 1000 + 24 * 60 * 60 * 1000
      expect((await claim('anna', dayLater)).replayed).toBe(false)
      const rows: unknown[] = await db.knex('demo_idempotency_keys').where('expires_at', '<=', dayLater)
      expect(rows).toEqual([])
    })

    it('never takes a table of the host for its own, however often it is asked', async () => {
      await db.knex.schema.createTable('demo_theirs', (table) => table.integer('n'))
      const theirs = createTable('0003-theirs', 'theirs', (column) => column.integer('n'))
      for (let call = 0; call < 2; call++) {
        const applied = applyMigrations(db.knex, [...steps, theirs], 'demo_')
        await expect(applied).rejects.toMatchObject({
          code: 'setup_error',
          detail: expect.stringContaining('demo_theirs'),
        })
      }
      await db.knex('demo_theirs').insert({ n: 1 })
    })

    it('leaves no trace of a step that fails', async () => {
      const failing: Migration = {
        name: '0004-failing',
        creates: 'half',
        async up(knex, prefix) {
          await knex.schema.createTable(`${prefix}half`, (table) => table.integer('n'))
          throw new Error('the step failed')
        },
      }
      await expect(applyMigrations(db.knex, [...steps, failing], 'demo_')).rejects.toThrow('the step failed')
      expect(await db.knex.schema.hasTable('demo_half')).toBe(false)
      const whole = createTable('0004-failing', 'half', (column) => column.integer('n'))
      expect(await applyMigrations(db.knex, [...steps, whole], 'demo_')).toEqual(['0004-failing'])
    })

    if (name === 'mariadb') {
      it('begins a step again that a crash cut off between its statements', async () => {
        await db.knex('demo_migrations').insert({ name: '0005-cut', done: 0 })
        await db.knex.schema.createTable('demo_cut', (table) => table.string('name', 20))
        const step = createTable('0005-cut', 'cut', (column, table, named) => {
          column.id('name')
          table.unique(['name'], { indexName: named('name') })
        })
        expect(await applyMigrations(db.knex, [...steps, step], 'demo_')).toEqual(['0005-cut'])
        await db.knex('demo_cut').insert({ name: 'once' })
        await expect(db.knex('demo_cut').insert({ name: 'once' })).rejects.toThrow(/Duplicate/)
      })

      it("a deadlock ends the host's transaction: nothing of it can be committed by mistake", async () => {
        const storage = storageOf(db.knex)
        await db.knex('demo_items').insert([
          { id: 'left', owner: '' },
          { id: 'right', owner: '' },
        ])
        const touch = (id: string, tx: Tx) => storage.run((stores) => stores.items.update({ id }, { owner: 'x' }), tx)
        const bothHold = barrier(2)
        const host = (first: string, second: string) =>
          db.knex.transaction(async (tx) => {
            await tx('demo_items').insert({ id: `before-${first}`, owner: '' })
            await touch(first, tx)
            await bothHold()
            // A careless host: it swallows our error and goes on.
            await touch(second, tx).catch(() => {})
            await tx('demo_items').insert({ id: `after-${first}`, owner: '' })
          })
        const ended = await Promise.allSettled([host('left', 'right'), host('right', 'left')])
        expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
        for (const id of ['left', 'right']) {
          const rows = await db.knex('demo_items').whereIn('id', [`before-${id}`, `after-${id}`])
          expect([0, 2]).toContain(rows.length)
        }
      })

      it('keeps text whole in a database of another character set', async () => {
        await db.knex.raw('alter database character set latin1')
        const step = createTable('0006-latin', 'latin', (column) => {
          column.text('owner')
          column.id('id')
        })
        await applyMigrations(db.knex, [...steps, step], 'demo_')
        const table = new KnexTable<Item>(db.knex, 'demo_latin', columns)
        await table.insert({ id: 'é', owner: '日本' })
        expect(await table.find({ id: 'é' })).toEqual({ id: 'é', owner: '日本' })
      })
    }
  })
}

/** Resolves for everybody once `count` have come. */
function barrier(count: number): () => Promise<void> {
  let open = () => {}
  let waiting = 0
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return () => {
    if (++waiting === count) open()
    return opened
  }
}

describe('in memory', () => {
  it('a savepoint that fails takes nothing of its sibling along', async () => {
    const rows: MemoryRows<Item> = new Map()
    await memoryDatabase().transaction(async (tx) => {
      const part = (id: string, fails: boolean) =>
        tx.savepoint(async (savepoint) => {
          new MemoryTable(rows, savepoint, { key: (row) => row.id }).insert({ id, owner: '' })
          await delay(1)
          if (fails) throw new Error('this part fails')
        })
      const ended = await Promise.allSettled([part('one', true), part('two', false)])
      expect(ended.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    })
    expect([...rows.keys()]).toEqual(['two'])
  })

  it('a table of a transaction that has ended writes no more', async () => {
    const rows: MemoryRows<Item> = new Map()
    const table = await memoryDatabase().transaction(async (tx) => new MemoryTable(rows, tx, { key: (row) => row.id }))
    expect(() => table.insert({ id: 'late', owner: '' })).toThrow('ended')
    expect(rows.size).toBe(0)
  })
})

describe('the logger', () => {
  it('is handed errors as plain data, which JSON can show', () => {
    const lines: string[] = []
    const write = (message: string, fields?: Record<string, unknown>) =>
      void lines.push(JSON.stringify({ message, ...fields }))
    const { logger } = createRuntime({ logger: { debug: write, info: write, warn: write, error: write } })
    logger.error('it broke', { error: new Error('outer', { cause: new Error('inner') }) })
    expect(lines[0]).toContain('"outer"')
    expect(lines[0]).toContain('"inner"')
    expect(lines[0]).toContain('hostile.test')
  })
})
