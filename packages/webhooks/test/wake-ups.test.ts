/** What one process makes due, a worker in another hears of through PostgreSQL, long before it would look. */
import { type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks, type WebhooksStorage, type Worker } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import type { Knex } from 'knex'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { endpointIdsOf, wakeUpMessage } from '../src/wake-ups/message.js'
import { loopback, type Receiver, receiver } from './receiver.js'
import * as samples from './samples/scaling.js'
import { keyCreated, scope } from './world.js'

const databases = await testDatabases()
const postgres = databases.find(({ name }) => name === 'postgres')
const sqlite = databases.find(({ name }) => name === 'sqlite')
/** All tests of all processes share one database, and channels are not of a schema. */
const channel = `webhooks_test_${process.pid}`
const notify = { channel }

/** Notes what the worker hears. */
function recording(storage: WebhooksStorage, heard: string[]): WebhooksStorage {
  const { wakeUps } = storage
  if (!wakeUps) throw new Error('It was made with notify')
  const listen: typeof wakeUps.listen = (listener) =>
    wakeUps.listen({
      ...listener,
      heard(message) {
        heard.push(message)
        listener.heard(message)
      },
    })
  return { ...storage, wakeUps: { listen } }
}

describe('the message', () => {
  it('names the endpoints, as many as PostgreSQL takes', () => {
    const ids = (count: number) => Array.from({ length: count }, (_, n) => `ep_${String(n).padStart(30, '0')}`)
    expect(endpointIdsOf(wakeUpMessage(ids(200)))).toEqual(ids(200))
    expect(wakeUpMessage(ids(1_000))).toBe('[]')
    // 7,999 bytes are the most, as UTF-8.
    expect(wakeUpMessage(['x'.repeat(7_995)]).length).toBe(7_999)
    expect(wakeUpMessage(['x'.repeat(7_996)])).toBe('[]')
    expect(wakeUpMessage(['é'.repeat(4_000)])).toBe('[]')
  })

  it.each(['', 'no json', 'null', '{}', '[1]', '"ep_1"', '[["ep_1"]]', '[null]'])('is not %j', (message) => {
    expect(endpointIdsOf(message)).toBeNull()
  })
})

it('wants PostgreSQL, and a channel', async () => {
  const setup = expect.objectContaining({ code: 'setup_error' })
  const [other, database] = [await sqlite?.open(), await postgres?.open()]
  expect(() => other && knexStorage(other.knex, { notify: true })).toThrow(setup)
  for (const odd of ['', 'a b', "a'; drop table x"]) {
    expect(() => database && knexStorage(database.knex, { notify: { channel: odd } })).toThrow(setup)
  }
  expect(database && knexStorage(database.knex).wakeUps).toBeUndefined()
  await Promise.all([other?.close(), database?.close()])
})

describe.skipIf(!postgres || postgres.missing)('a worker that listens', () => {
  let database: OpenDatabase
  let listening: Knex
  let worker: Worker
  let target: Receiver
  let said: string[]
  let heard: string[]
  const logger = recordingLogger()
  /** The process that publishes: no worker runs in it. */
  let publishing: ReturnType<typeof createWebhooks>
  const listeners = async () => {
    const rows = await database.knex('pg_stat_activity').where('query', `listen ${channel}`).select('pid')
    return rows.map(({ pid }) => pid)
  }
  const arrive = (count: number) => expect.poll(() => target.received.length, { interval: 2 }).toBe(count)

  beforeEach(async () => {
    database = await (postgres as NonNullable<typeof postgres>).open()
    await migrate(database.knex)
    // The host's only connection is not the one that listens.
    listening = database.connect({ pool: 1 })
    target = await receiver()
    said = []
    database.knex.on('query', ({ sql, bindings }) => {
      if (String(sql).includes('pg_notify')) said.push(bindings[1])
    })
    publishing = createWebhooks({ storage: knexStorage(database.knex, { notify }), network: loopback, logger })
    await publishing.endpoints.create(scope, { url: target.url })
    heard = []
    const storage = recording(knexStorage(listening, { notify }), heard)
    const other = createWebhooks({ storage, network: loopback, logger })
    worker = other.startWorker({ pollMs: 60_000 })
    await expect.poll(listeners).toHaveLength(1)
    // It has looked for the first time, and looks less and less often: the later, the longer it would take to find out.
    await publishing.publish(keyCreated)
    await arrive(1)
  })
  afterEach(async () => {
    await worker.stop()
    await listening.destroy()
    await database.close()
  })

  it('sends at once what another process publishes', async () => {
    const waits: number[] = []
    for (let n = 2; n <= 30; n++) {
      const before = performance.now()
      await database.knex.transaction((tx) => publishing.publish(keyCreated, { tx }))
      await arrive(n)
      waits.push(performance.now() - before)
    }
    waits.sort((a, b) => a - b)
    const [median = 0, longest = 0] = [waits[waits.length >> 1], waits.at(-1)]
    console.info(
      `LISTEN: publish in one process to receipt from another: median ${median.toFixed(1)} ms, longest ${longest.toFixed(1)} ms; pollMs is 60,000`,
    )
    // What is within a few milliseconds of a commit cannot have been found by looking each time.
    expect(median).toBeLessThan(500)
    expect(said.at(-1)).toMatch(/^\["ep_\w+"\]$/)
  })

  it('is told nothing of what is rolled back', async () => {
    said.length = 0
    const undone = database.knex.transaction(async (tx) => {
      await publishing.publish(keyCreated, { tx })
      throw new Error('taken back')
    })
    await expect(undone).rejects.toThrow('taken back')
    heard.length = 0
    await publishing.publish(keyCreated)
    await arrive(2)
    await expect.poll(() => heard).toEqual([said[1]])
    // The first was said within its transaction, which never committed.
    expect(said.length).toBe(2)
  })

  it('hears of what an enabled endpoint had held, of a retry, of a fan-out and of a job', async () => {
    const { id } = await publishing.endpoints.create(scope, { url: `${target.url}/held`, eventTypes: ['key.revoked'] })
    await publishing.endpoints.disable(scope, id)
    const revoked = { tenantId: 't1', type: 'key.revoked', data: { keyId: 'key_1' } } as const
    await publishing.publish(revoked)
    await arrive(2)
    // Held by a worker that found it disabled.
    const held = async () => (await publishing.deliveries.list(scope, { endpointId: id })).data[0]?.status
    await expect.poll(held).toBe('held')
    await publishing.endpoints.enable(scope, id)
    await arrive(3)
    const delivered = async () =>
      (await publishing.deliveries.list(scope, { endpointId: id, status: 'delivered' })).data
    await expect.poll(delivered).toHaveLength(1)
    await publishing.deliveries.retry(scope, (await delivered())[0]?.id ?? '')
    await arrive(4)
    await expect.poll(delivered).toHaveLength(1)
    await publishing.replay(scope, { endpointId: id, since: 0 })
    await expect.poll(() => target.received.length).toBeGreaterThan(4)
    const before = target.received.length
    for (let n = 0; n < 100; n++) {
      await publishing.endpoints.create(scope, { url: `${target.url}/${n}`, eventTypes: ['quota.exceeded'] })
    }
    // To more than a publisher writes the deliveries of.
    expect(await publishing.publish(keyCreated)).toMatchObject({ deliveries: null })
    await expect.poll(() => target.received.length).toBeGreaterThan(before)
  })

  it('comes back after its connection was ended, and misses nothing meanwhile', async () => {
    const [pid] = await listeners()
    await database.knex.raw('select pg_terminate_backend(?)', [pid])
    await publishing.publish(keyCreated)
    await arrive(2)
    await expect.poll(listeners).toHaveLength(1)
    expect((await listeners())[0]).not.toBe(pid)
    heard.length = 0
    for (let n = 3; n <= 6; n++) {
      await publishing.publish(keyCreated)
      await arrive(n)
    }
    expect(heard).toHaveLength(4)
    expect(logger.entries.filter(({ level }) => level === 'warn').length).toBeGreaterThan(0)
  })

  it('is not hurt by what anybody may say', async () => {
    for (const odd of ['', 'no json', '[1]', '["ep_nobody"]', '{"__proto__":[]}', '[]']) {
      await database.knex.raw('select pg_notify(?, ?)', [channel, odd])
    }
    await publishing.publish(keyCreated)
    await arrive(2)
    expect(logger.entries.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('is made as the guide shows', async () => {
    const others = process.listeners('SIGTERM')
    const shown = samples.workerProcess(listening)
    const own = process.listeners('SIGTERM').filter((listener) => !others.includes(listener))
    expect(own.length).toBe(1)
    process.off('SIGTERM', own[0] as NodeJS.SignalsListener)
    await shown.worker.stop()
    await samples.listening(database.knex).publish(keyCreated)
    expect(said.at(-1)).toMatch(/^\["ep_/)
  })

  it('closes its connection when it stops', async () => {
    await worker.stop()
    await expect.poll(listeners).toEqual([])
  })
})
