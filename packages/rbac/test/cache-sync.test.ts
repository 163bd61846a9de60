/** Two processes on one database, the clock standing still: only the bus can have told the other one. */
import { fakeClock, type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'
import { type CacheBus, type CacheSync, createRbac } from '@org/rbac'
import { knexStorage, migrate, postgresBus } from '@org/rbac/knex'
import { redisBus } from '@org/rbac/redis'
import { Redis } from 'ioredis'
import type { Knex } from 'knex'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as samples from './samples/caching.js'

const [tenantId, channel] = ['acme', `rbac_test_${process.pid}`]
const scope = { tenantId }
const developer = { userId: 'dev', role: 'developer' }
const postgres = (await testDatabases()).find(({ name }) => name === 'postgres')

const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'
const redis = (options: object = {}) => {
  const client = new Redis(redisUrl, options)
  // ioredis throws what nobody listens to.
  client.on('error', () => {})
  return client
}
const redisMissing = await whyRedisIsMissing()

async function whyRedisIsMissing(): Promise<string | null> {
  const client = redis({ maxRetriesPerRequest: 0, retryStrategy: () => null })
  try {
    await client.ping()
    return null
  } catch (error) {
    if (process.env.REQUIRE_SERVICES === '1') throw error
    return `Redis cannot be reached: ${String(error)}`
  } finally {
    client.disconnect()
  }
}

interface Wire {
  /** A bus for one process. */
  bus(knex: Knex): CacheBus
  /** Says something that no module of ours would. */
  say(message: string): Promise<unknown>
  /** Takes the connection away that listens. */
  cut(): Promise<unknown>
  close(): Promise<unknown>
}

type MakeWire = (database: OpenDatabase) => Wire

const wires: { name: string; missing: string | null; make: MakeWire }[] = [
  {
    name: 'PostgreSQL',
    missing: postgres?.missing ?? null,
    make: ({ knex }) => ({
      bus: (own) => postgresBus(own, { channel }),
      say: (message) => knex.raw('select pg_notify(?, ?)', [channel, message]),
      cut: () =>
        knex.raw('select pg_terminate_backend(pid) from pg_stat_activity where query = ?', [`listen ${channel}`]),
      close: async () => {},
    }),
  },
  {
    name: 'Redis',
    missing: postgres?.missing ?? redisMissing,
    make: () => {
      const clients: Redis[] = []
      const made = () => {
        const client = redis()
        clients.push(client)
        return client
      }
      const admin = made()
      const subscribers: Redis[] = []
      return {
        bus() {
          const subscriber = made()
          subscribers.push(subscriber)
          return redisBus({ publisher: made(), subscriber, channel })
        },
        say: (message) => admin.publish(channel, message),
        cut: async () => {
          for (const subscriber of subscribers) subscriber.disconnect(true)
        },
        close: async () => {
          for (const client of clients) client.disconnect()
        },
      }
    },
  },
]

for (const { name, missing, make } of wires) {
  describe.skipIf(missing)(`the cache, told by ${name}`, () => {
    let database: OpenDatabase
    let wire: Wire
    let other: Knex
    let sync: CacheSync
    const clock = fakeClock()
    const logger = recordingLogger()
    const rbacOn = (knex: Knex) =>
      createRbac({
        storage: knexStorage(knex),
        // Longer than any test: without the bus, the first answer would stay.
        cache: { bus: wire.bus(knex), maxStaleMs: 3_600_000 },
        ...{ clock, logger },
      })
    let changing: ReturnType<typeof rbacOn>
    let asking: ReturnType<typeof rbacOn>
    const may = (userId = 'dev') => asking.checkPermission(userId, 'keys', 'create', scope)
    const becomes = (answer: boolean) => expect.poll(may).toBe(answer)

    beforeEach(async () => {
      if (!postgres) throw new Error('testDatabases() always names PostgreSQL')
      database = await postgres.open()
      await migrate(database.knex)
      other = database.connect()
      wire = make(database)
      changing = rbacOn(database.knex)
      asking = rbacOn(other)
      await changing.assignments.assign(scope, { userId: 'ann', role: 'owner' })
      await changing.assignments.assign(scope, developer)
      sync = asking.startCacheSync()
      await sync.ready
      expect(await may()).toBe(true)
    })
    afterEach(async () => {
      await sync.stop()
      await wire.close()
      await other.destroy()
      await database.close()
    })

    it('follows a change of another process at once', async () => {
      await changing.assignments.unassign(scope, developer)
      await becomes(false)
      await changing.assignments.assign(scope, developer)
      await becomes(true)
    })

    it('follows a change in a transaction of the host from its commit on', async () => {
      await database.knex.transaction(async (tx) => {
        await changing.assignments.unassign({ tenantId, tx }, developer)
        expect(await may()).toBe(true)
      })
      await becomes(false)
    })

    it('believes no message, and is not hurt by one', async () => {
      const odd = ['', 'no json', 'null', '[]', '"acme"', '{"tenantId":7,"version":1}', `{"tenantId":"${tenantId}"}`]
      const lies = [-1, 0, 1.5, 1e300, 999].map((version) => JSON.stringify({ tenantId, version }))
      const strangers = [JSON.stringify({ tenantId: 'nobody', version: 5 }), `{"__proto__":{"version":1}}`]
      for (const message of [...odd, ...lies, ...strangers]) await wire.say(message)
      expect(await may()).toBe(true)
      expect(await may('stranger')).toBe(false)
      await changing.assignments.unassign(scope, developer)
      await becomes(false)
    })

    it('listens again after it lost its connection, and asks about what it may have missed', async () => {
      await wire.cut()
      await changing.assignments.unassign(scope, developer)
      await becomes(false)
      await changing.assignments.assign(scope, developer)
      await becomes(true)
    })

    it('hears nothing more once it is stopped', async () => {
      await sync.stop()
      await changing.assignments.unassign(scope, developer)
      expect(await may()).toBe(true)
      clock.advance(3_600_001)
      expect(await may()).toBe(false)
    })
  })
}

describe.skipIf(postgres?.missing ?? redisMissing)('the guide to caching', () => {
  it('shows set-ups that work', async () => {
    if (!postgres) return
    const database = await postgres.open()
    await migrate(database.knex)
    const [byPostgres, byRedis] = [samples.onPostgres(database.knex), samples.onRedis(database.knex, redisUrl)]
    await Promise.all([byPostgres.sync.ready, byRedis.sync.ready])
    const all = [samples.bounded(database.knex), samples.strict(database.knex), byPostgres.rbac, byRedis.rbac]
    for (const [i, rbac] of all.entries()) {
      await rbac.assignments.assign({ tenantId: `t${i}` }, developer)
      expect(await rbac.checkPermission('dev', 'keys', 'create', { tenantId: `t${i}` })).toBe(true)
    }
    await Promise.all([byPostgres.sync.stop(), byRedis.sync.stop()])
    for (const client of [byRedis.publisher, byRedis.subscriber]) client.disconnect()
    await database.close()
  })
})

describe.skipIf(postgres?.missing)('postgresBus', () => {
  it('says nothing of a change that is taken back', async () => {
    if (!postgres) return
    const database = await postgres.open()
    await migrate(database.knex)
    const heard: string[] = []
    const bus = postgresBus(database.knex, { channel })
    const end = await bus.listen({ heard: (message) => void heard.push(message), reconnected() {}, lost() {} })
    const rbac = createRbac({ storage: knexStorage(database.knex), cache: { bus }, logger: recordingLogger() })
    const undone = database.knex.transaction(async (tx) => {
      await rbac.assignments.assign({ tenantId, tx }, developer)
      throw new Error('taken back')
    })
    await expect(undone).rejects.toThrow('taken back')
    await rbac.assignments.assign({ tenantId: 'kept' }, developer)
    await expect.poll(() => heard).toEqual(['{"tenantId":"kept","version":1}'])
    await end()
    await database.close()
  })

  it('wants PostgreSQL, and a channel', async () => {
    const setup = expect.objectContaining({ code: 'setup_error' })
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    const [other, database] = [await sqlite?.open(), await postgres?.open()]
    expect(() => other && postgresBus(other.knex)).toThrow(setup)
    for (const channel of ['', 'a b', 'A', "a'; drop table x"]) {
      expect(() => database && postgresBus(database.knex, { channel })).toThrow(setup)
    }
    await Promise.all([other?.close(), database?.close()])
  })
})
