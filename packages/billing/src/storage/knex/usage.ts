import { columnName, dialectOf, flag, integer, isDuplicateKey, json, KnexTable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import { type Counter, type CounterKey, newCounter, type UsageEvent } from '../../usage/schema.js'
import type { CounterMismatch, UsageStore } from '../../usage/store.js'

type Stored = Record<string, unknown>

/** Rows in one INSERT: databases bound the number of parameters. */
const batch = 100

export function knexUsage(db: Knex, prefix: string): UsageStore {
  const mysql = dialectOf(db) === 'mysql'
  const events = new KnexTable<UsageEvent>(db, `${prefix}usage_events`, {
    id: text,
    tenantId: text,
    meter: text,
    quantity: integer,
    idempotencyKey: text,
    time: integer,
    holder: text,
    windowStart: integer,
    createdAt: integer,
  })
  const counters = new KnexTable<Counter>(db, `${prefix}usage_counters`, {
    tenantId: text,
    holder: text,
    meter: text,
    windowStart: integer,
    used: integer,
    closed: flag,
    markedLimit: integer,
    alerted: json<number>(),
    exceeded: flag,
  })
  const unique: (keyof UsageEvent)[] = ['tenantId', 'meter', 'idempotencyKey']
  const primary: (keyof CounterKey)[] = ['tenantId', 'holder', 'windowStart', 'meter']
  const only = ({ tenantId, holder, meter, windowStart }: CounterKey) => ({ tenantId, holder, meter, windowStart })

  /** One statement where the database answers changed rows; else the row is read back, which this transaction locked. */
  async function increment(key: CounterKey, quantity: number, limit: number | null): Promise<Counter | null> {
    const query = counters.query({ ...only(key), closed: false })
    if (limit !== null) query.where('used', '<=', limit - quantity)
    const change = query.update({ used: db.raw('used + ?', [quantity]) })
    if (mysql) return (await change) === 0 ? null : counters.find(only(key))
    const [row] = (await change.returning('*')) as unknown as Stored[]
    return row ? counters.decode(row) : null
  }

  /** Answers the ids of those whose key was free. */
  async function insertNew(rows: readonly UsageEvent[]): Promise<string[]> {
    const insert = db(events.name).insert(rows.map((row) => events.encode(row)))
    if (!mysql) {
      const written: Stored[] = await insert.onConflict(unique.map(columnName)).ignore().returning('id')
      return written.map((row) => String(row.id))
    }
    try {
      await insert
      return rows.map((row) => row.id)
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
    }
    // MySQL takes a failed statement back and goes on: only a batch with duplicates pays for finding them.
    const ids: string[] = []
    for (const row of rows) if (await events.insertUnlessExists(row, unique)) ids.push(row.id)
    return ids
  }

  return {
    addEvent: (event) => events.insertOrFind(event, unique),
    async addEvents(list) {
      const ids = new Set<string>()
      for (let from = 0; from < list.length; from += batch) {
        for (const id of await insertNew(list.slice(from, from + batch))) ids.add(id)
      }
      return ids
    },
    async eventsOf(list) {
      const found: UsageEvent[] = []
      for (let from = 0; from < list.length; from += batch) {
        const keys = list.slice(from, from + batch).map((event) => unique.map((field) => String(event[field])))
        const rows = await events.all((query) => {
          const narrowed = query.whereIn(unique.map(columnName), keys)
          return dialectOf(db) === 'sqlite' ? narrowed : narrowed.forShare()
        })
        found.push(...rows)
      }
      return found
    },
    getEvent: (tenantId, id) => events.find({ tenantId, id }),
    removeEvent: async (id) => (await events.remove({ id })) > 0,
    async consume(key, quantity, limit) {
      if (mysql) {
        // An UPDATE that finds no row would lock the gap there, and two of them would wait for each other's INSERT.
        await makeCounter(key)
        return increment(key, quantity, limit)
      }
      const counter = await increment(key, quantity, limit)
      if (counter) return counter
      // The window's first use makes it; otherwise it is there and does not fit.
      await makeCounter(key)
      return increment(key, quantity, limit)
    },
    release: async (key, quantity) => {
      const open = counters.query({ ...only(key), closed: false })
      return (await open.update({ used: db.raw('used - ?', [quantity]) })) > 0
    },
    counter: (key) => counters.find(only(key)),
    mark: async (key, marks) => void (await counters.update(only(key), marks)),
    lockCounter,
    async close(key) {
      const { used } = await lockCounter(key)
      await counters.update(only(key), { closed: true })
      return used
    },
    counters: (window) => counters.all(window),
    recount,
  }

  async function makeCounter(key: CounterKey): Promise<void> {
    if (!mysql) return void (await counters.insertUnlessExists(newCounter(key), primary))
    if (await counters.find(only(key))) return
    // A duplicate key error would leave a shared lock, and whoever holds one keeps the others from the row.
    const row = db(counters.name).insert(counters.encode(newCounter(key)))
    await row.onConflict().merge({ used: db.raw('used') })
  }

  async function lockCounter(key: CounterKey): Promise<Counter> {
    await makeCounter(key)
    const counter = await counters.lock(only(key))
    if (!counter) throw new Error(`the counter of ${key.meter} vanished`)
    return counter
  }

  async function recount(after: CounterKey | null, limit: number) {
    const page = await counters.all((query) => {
      if (after) query.whereRaw(`(tenant_id, holder, window_start, meter) > (?, ?, ?, ?)`, position(after))
      return query.orderBy(['tenant_id', 'holder', 'window_start', 'meter']).limit(limit)
    })
    const wrong: CounterMismatch[] = []
    for (const counter of page) {
      const [row]: Stored[] = await events.query(only(counter)).sum({ total: 'quantity' })
      const recorded = Number(row?.total ?? 0)
      if (recorded !== counter.used) wrong.push({ ...only(counter), counted: counter.used, recorded })
    }
    const last = page.length === limit ? (page.at(-1) ?? null) : null
    return { checked: page.length, wrong, next: last && only(last) }
  }
}

function position({ tenantId, holder, windowStart, meter }: CounterKey) {
  return [tenantId, holder, windowStart, meter]
}
