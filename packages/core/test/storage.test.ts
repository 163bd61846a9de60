import { type MemoryRows, MemoryTable, memoryDatabase, memoryUnitOfWork, type Storage, type Tx } from '@org/core'
import { applyMigrations, createTable, integer, json, KnexTable, knexUnitOfWork, nullable, text } from '@org/core/knex'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import type { Knex } from 'knex'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

interface Item {
  id: string
  ownerId: string
  tags: string[]
  seenAt: number | null
}

interface ItemStore {
  add(item: Item): Promise<boolean>
  get(id: string): Promise<Item | null>
  count(): Promise<number>
}

const migrations = [
  createTable('0001-items', 'items', (column, table, named) => {
    column.id('id').primary()
    column.id('owner_id')
    column.json('tags')
    column.bigint('seen_at').nullable()
    table.unique(['owner_id'], { indexName: named('owner') })
  }),
]

const columns = { id: text, ownerId: text, tags: json<string[]>(), seenAt: nullable(integer) }

interface Opened {
  storage: Storage<ItemStore>
  /** A transaction of the host. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  foreign(work: (tx: Tx) => Promise<unknown>): Promise<unknown>
  close(): Promise<void>
}

async function openMemory(): Promise<Opened> {
  const rows: MemoryRows<Item> = new Map()
  const database = memoryDatabase()
  const storage = memoryUnitOfWork<ItemStore>(database, (tx) => {
    const table = new MemoryTable(rows, tx, { key: (item) => item.id, unique: [(item) => item.ownerId] })
    return {
      add: async (item) => table.insertUnlessExists(item),
      get: async (id) => table.get(id),
      count: async () => table.filter(() => true).length,
    }
  })
  return {
    storage,
    transaction: (work) => database.transaction(work),
    foreign: (work) => work({}),
    close: async () => {},
  }
}

function knexStorage(db: OpenDatabase): Storage<ItemStore> {
  return knexUnitOfWork<ItemStore>(db.knex, {
    prefix: 'demo_',
    migrateFrom: '@org/demo/knex',
    bind: (handle) => {
      const table = new KnexTable<Item>(handle, 'demo_items', columns)
      return {
        add: (item) => table.insertUnlessExists(item, ['ownerId']),
        get: (id) => table.find({ id }),
        count: async () => (await table.all()).length,
      }
    },
  })
}

const databases = await testDatabases()
const storages: { name: string; missing: string | null; open: () => Promise<Opened> }[] = [
  { name: 'memory', missing: null, open: openMemory },
  ...databases.map(({ name, missing, open }) => ({
    name,
    missing,
    async open() {
      const db = await open({ pool: 1 })
      await applyMigrations(db.knex, migrations, 'demo_')
      return {
        storage: knexStorage(db),
        transaction: <T>(work: (tx: Tx) => Promise<T>) => db.knex.transaction(work),
        async foreign(work: (tx: Tx) => Promise<unknown>) {
          const other = db.connect()
          const tx = await other.transaction()
          try {
            return await work(tx)
          } finally {
            await tx.rollback()
            await other.destroy()
          }
        },
        close: db.close,
      }
    },
  })),
]

const item = (id: string, ownerId = id): Item => ({ id, ownerId, tags: ['a', 'é', '"'], seenAt: null })

for (const { name, missing, open } of storages) {
  describe.skipIf(missing)(`unit of work on ${name}`, () => {
    let opened: Opened
    beforeEach(async () => {
      opened = await open()
      return () => opened.close()
    })
    const count = () => opened.storage.read((items) => items.count())

    it('commits its own transaction, or nothing', async () => {
      await opened.storage.run(async (items) => items.add({ ...item('i1'), seenAt: 1_767_225_600_000 }))
      const failed = opened.storage.run(async (items) => {
        await items.add(item('i2'))
        throw new Error('no')
      })
      await expect(failed).rejects.toThrow('no')
      expect(await count()).toBe(1)
      const found = await opened.storage.read((items) => items.get('i1'))
      expect(found).toEqual({ ...item('i1'), seenAt: 1_767_225_600_000 })
    })

    it("joins the host's transaction", async () => {
      await opened.transaction(async (tx) => {
        await opened.storage.run((items) => items.add(item('i1')), tx)
        expect(await opened.storage.read((items) => items.count(), tx)).toBe(1)
      })
      const rolledBack = opened.transaction(async (tx) => {
        await opened.storage.run((items) => items.add(item('i2')), tx)
        throw new Error('the host changed its mind')
      })
      await expect(rolledBack).rejects.toThrow('changed its mind')
      expect(await count()).toBe(1)
    })

    it("undoes work that fails inside the host's transaction, and leaves that usable", async () => {
      await opened.transaction(async (tx) => {
        const failed = opened.storage.run(async (items) => {
          await items.add(item('half'))
          throw new Error('half done')
        }, tx)
        await expect(failed).rejects.toThrow('half done')
        await opened.storage.run((items) => items.add(item('whole')), tx)
      })
      expect(await opened.storage.read((items) => items.get('half'))).toBeNull()
      expect(await count()).toBe(1)
    })

    it('reports a taken unique key and leaves the transaction usable', async () => {
      await opened.storage.run(async (items) => {
        expect(await items.add(item('i1', 'anna'))).toBe(true)
        expect(await items.add(item('i2', 'anna'))).toBe(false)
        expect(await items.add(item('i3', 'Anna'))).toBe(true)
      })
      expect(await count()).toBe(2)
    })

    it('refuses a transaction of another database, or one that has ended', async () => {
      const add = (tx: Tx) => opened.storage.run((items) => items.add(item('i1')), tx)
      await opened.foreign(async (tx) => {
        expect(opened.storage.owns(tx)).toBe(false)
        await expect(add(tx)).rejects.toMatchObject({ code: 'foreign_transaction' })
      })
      const ended = await opened.transaction(async (tx) => tx)
      expect(opened.storage.owns(ended)).toBe(false)
      await expect(add(ended)).rejects.toMatchObject({ code: 'foreign_transaction' })
      expect(await count()).toBe(0)
    })

    it('lets one of many writers win a unique key', async () => {
      const tries = Array.from({ length: 12 }, (_, i) =>
        opened.storage.run((items) => items.add(item(`i${i}`, 'the one'))),
      )
      expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1)
    })
  })
}

for (const { name, missing, open } of databases) {
  describe.skipIf(missing)(`Knex on ${name}`, () => {
    let db: OpenDatabase
    beforeAll(async () => {
      db = await open()
    })
    afterAll(() => db.close())

    it('says which function to call when the tables are missing', async () => {
      const found = knexStorage(db).read((items) => items.get('i1'))
      await expect(found).rejects.toMatchObject({
        code: 'not_migrated',
        detail: expect.stringContaining('@org/demo/knex'),
      })
      const written = knexStorage(db).run((items) => items.add(item('i1')))
      await expect(written).rejects.toMatchObject({ code: 'not_migrated' })
    })

    it('joins a single write without a savepoint, as part of what the host does', async () => {
      const db = await open({ pool: 1 })
      await applyMigrations(db.knex, migrations, 'demo_')
      const storage = knexStorage(db)
      const item = (id: string): Item => ({ id, ownerId: `owner of ${id}`, tags: [], seenAt: null })
      const add = (id: string, tx: Tx) => storage.run((items) => items.add(item(id)), tx, { savepoint: false })
      const count = () => storage.read((items) => items.count())
      const statements: string[] = []
      db.knex.on('query', ({ sql }: { sql: string }) => void statements.push(sql))

      await db.knex.transaction((tx) => add('kept', tx))
      expect(statements.filter((sql) => /savepoint|delete/i.test(sql))).toEqual([])
      await db.knex
        .transaction(async (tx) => {
          await add('gone', tx)
          throw new Error('taken back')
        })
        .catch(() => {})
      expect(await count()).toBe(1)

      // A host that goes on after our error is told that there is nothing to commit.
      const table = db.knex('demo_items')
      const host = db.knex.transaction(async (tx) => {
        await tx('demo_items').insert({ id: 'host', owner_id: 'host', tags: '[]' })
        const failing = storage.run(() => tx('demo_items').insert({ id: 'host', owner_id: 'x', tags: '[]' }), tx, {
          savepoint: false,
        })
        await failing.then(
          () => expect.unreachable(),
          () => {},
        )
      })
      const [{ status }] = await Promise.allSettled([host])
      const written = (await table.where({ id: 'host' })).length
      expect([status, written]).toEqual(['rejected', 0])
      await db.close()
    })

    it('writes many rows, and to each its own values', async () => {
      await applyMigrations(db.knex, migrations, 'demo_')
      const table = new KnexTable<Item>(db.knex, 'demo_items', columns)
      const items = Array.from(
        { length: 600 },
        (_, n): Item => ({
          id: `many_${n}`,
          ownerId: `nobody "${n}" \ud83e\udea1 ' \\ ?`,
          tags: ['a', `?${n}`],
          seenAt: n % 2 ? null : 1_767_225_600_000 + n,
        }),
      )
      await table.insert(items)
      const ours = (query: Knex.QueryBuilder) => query.where('id', 'like', 'many%')
      const byNumber = (rows: Item[]) => rows.sort((a, b) => Number(a.id.slice(5)) - Number(b.id.slice(5)))
      expect(byNumber(await table.all(ours))).toEqual(items)
      const patches = items.map(({ id, seenAt }, n) => ({ id, seenAt: seenAt === null ? n : null, ownerId: `o'${n}` }))
      await table.updateEach('id', patches.slice(0, 599))
      await table.updateEach('id', [])
      const expected = items.map((item, n) => (n < 599 ? { ...item, ...patches[n] } : item))
      expect(byNumber(await table.all(ours))).toEqual(expected)
      await db.knex.schema.dropTable('demo_items')
      await db.knex.schema.dropTable('demo_migrations')
    })

    it('writes all of many rows or none, also where the host goes on', async () => {
      const db = await open({ pool: 1 })
      await applyMigrations(db.knex, migrations, 'demo_')
      const bind = (handle: Knex) => new KnexTable<Item>(handle, 'demo_items', columns)
      const storage = knexUnitOfWork(db.knex, { bind, prefix: 'demo_', migrateFrom: '@org/demo/knex' })
      const item = (id: string): Item => ({ id, ownerId: `owner of ${id}`, tags: [], seenAt: null })
      const twice = [item('a'), item('b'), item('a')]
      await expect(storage.run((table) => table.insert(twice))).rejects.toThrow()
      await db.knex.transaction(async (tx) => {
        await storage.run((table) => table.insert(item('before')), tx)
        await expect(storage.run((table) => table.insert(twice), tx)).rejects.toThrow()
        await storage.run((table) => table.insert([item('after'), item('later')]), tx)
      })
      expect((await bind(db.knex).all()).map(({ id }) => id).sort()).toEqual(['after', 'before', 'later'])
      const ended = await db.knex.transaction()
      await ended.commit()
      await expect(bind(ended).insert([item('x'), item('y')])).rejects.toThrow(/complete/)
      expect(await bind(db.knex).all()).toHaveLength(3)
      await db.close()
    })

    it('waits for a locked row no longer than it was told, and leaves the session as it was', async () => {
      const db = await open({ pool: 1 })
      await applyMigrations(db.knex, migrations, 'demo_')
      const storage = knexStorage(db)
      const seconds = async () =>
        name === 'mariadb' ? (await db.knex.raw('select @@session.innodb_lock_wait_timeout as s'))[0][0].s : null
      const usual = await seconds()
      const options = { lockTimeoutMs: 1_000 }
      await storage.run((items) => items.count(), undefined, options)
      expect(await seconds()).toBe(usual)
      const failing = storage.run(() => Promise.reject(new Error('no')), undefined, options)
      await expect(failing).rejects.toThrow('no')
      expect(await seconds()).toBe(usual)
      const ended = storage.run((_, tx) => (tx as Knex.Transaction).rollback(new Error('ended')), undefined, options)
      await expect(ended).rejects.toThrow()
      expect(await seconds()).toBe(usual)
      if (name !== 'sqlite') {
        await db.knex('demo_items').insert({ id: 'locked', owner_id: 'o', tags: '[]' })
        const other = db.connect()
        const host = await other.transaction()
        await host('demo_items').where({ id: 'locked' }).forUpdate()
        const waits = storage.run(
          (_, tx) => (tx as Knex)('demo_items').where({ id: 'locked' }).delete(),
          undefined,
          options,
        )
        await expect(waits).rejects.toMatchObject({ code: 'busy' })
        expect(await seconds()).toBe(usual)
        await host.rollback()
        await other.destroy()
      }
      await db.close()
    })

    it('migrates once when many processes start together', async () => {
      const processes = Array.from({ length: 5 }, () => db.connect())
      const applied = await Promise.all(processes.map((knex) => applyMigrations(knex, migrations, 'demo_')))
      expect(applied.filter((names) => names.length > 0)).toEqual([['0001-items']])
      await Promise.all(processes.map((knex) => knex.destroy()))
    })

    // Elsewhere DDL is transactional: a step and its note come and go together.
    if (name === 'mariadb')
      it('goes on after a crash between a step and its note', async () => {
        await db.knex('demo_migrations').insert({ name: '0002-more', done: 0 })
        await db.knex.schema.createTable('demo_more', (table) => table.integer('n'))
        const more = createTable('0002-more', 'more', (column) => column.integer('n'))
        expect(await applyMigrations(db.knex, [...migrations, more], 'demo_')).toEqual(['0002-more'])
        expect(await applyMigrations(db.knex, [...migrations, more], 'demo_')).toEqual([])
      })

    it('never takes a table of the host for its own', async () => {
      await db.knex.schema.createTable('demo_theirs', (table) => table.integer('n'))
      const theirs = createTable('0003-theirs', 'theirs', (column) => column.integer('n'))
      await expect(applyMigrations(db.knex, [theirs], 'demo_')).rejects.toThrow(/exists/)
    })

    it('refuses a prefix that would not fit or is not a name', async () => {
      for (const prefix of ['', 'Demo_', 'a-b', 'x'.repeat(21), 'drop table']) {
        await expect(applyMigrations(db.knex, [], prefix)).rejects.toMatchObject({ code: 'setup_error' })
      }
    })
  })
}

describe('modules with a memory database each', () => {
  it('roll back together when one joins the transaction of the other', async () => {
    const [one, two] = [await openMemory(), await openMemory()]
    const failed = one.storage.run(async (items, tx) => {
      await items.add(item('i1'))
      await two.storage.run((others) => others.add(item('i1')), tx)
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    expect(await one.storage.read((items) => items.count())).toBe(0)
    expect(await two.storage.read((items) => items.count())).toBe(0)
  })
})
