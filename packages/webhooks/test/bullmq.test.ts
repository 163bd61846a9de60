/** Two processes' worth of workers on a real Redis; the database is the truth, and Redis may lose everything. */
import { recordingLogger, testDatabases } from '@org/core/testing'
import {
  createWebhooks,
  type Dispatch,
  type DispatchConsumer,
  type DispatchJob,
  memoryStorage,
  type Webhooks,
  type WebhooksStorage,
} from '@org/webhooks'
import { bullmqDispatch } from '@org/webhooks/bullmq'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { Queue } from 'bullmq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loopback, type Receiver, receiver } from './receiver.js'
import { type Wire, whyRedisIsMissing, wipe, wireToRedis } from './redis.js'
import { ended, queued } from './samples/scaling.js'
import { keyCreated, scope } from './world.js'

const missing = await whyRedisIsMissing()
const paths = Array.from({ length: 10 }, (_, n) => `/hooks/${n}`)
const arrived = ({ received }: Receiver) => received.map(({ path, headers }) => `${path} ${headers['webhook-id']}`)

let made = 0
/** Each test has its own keys, and leaves none. */
function ownPrefix(): string {
  const prefix = `org_test_${process.pid}_${made++}`
  onTestFinished(async () => void (await wipe(prefix)))
  return prefix
}

function processOn(storage: WebhooksStorage, { connection }: Wire, prefix: string, scheduleMs = [0, 20, 20]) {
  const dispatch = bullmqDispatch({ connection, prefix })
  const logger = recordingLogger()
  const webhooks = createWebhooks({ storage, dispatch, logger, network: loopback, retry: { scheduleMs } })
  onTestFinished(() => dispatch.close())
  const startWorker: Webhooks['startWorker'] = (options) => {
    const worker = webhooks.startWorker(options)
    onTestFinished(() => worker.stop({ graceMs: 0 }))
    return worker
  }
  return { webhooks, dispatch, logger, startWorker }
}

/** As a dashboard would look at it. */
function queueOf({ connection }: Wire, prefix: string): Queue {
  const queue = new Queue('webhooks', { connection, prefix })
  queue.on('error', () => {})
  onTestFinished(() => queue.close())
  return queue
}

async function endpointsOf(webhooks: Webhooks, target: Receiver, on = paths): Promise<void> {
  for (const path of on) await webhooks.endpoints.create(scope, { url: new URL(path, target.url).href })
}

/** Answers what must arrive. */
async function publishTo(webhooks: Webhooks, count: number, on = paths): Promise<Set<string>> {
  const expected = new Set<string>()
  for (let n = 0; n < count; n += 20) {
    const batch = Array.from({ length: Math.min(20, count) }, () => keyCreated)
    for (const { messageId } of await webhooks.publishBatch(batch)) {
      for (const path of on) expected.add(`${path} ${messageId}`)
    }
  }
  return expected
}

for (const database of await testDatabases()) {
  describe.skipIf(missing ?? database.missing)(`BullMQ over ${database.name}`, () => {
    /** Two instances on one database, as two processes have. */
    const opened = async (count = 2) => {
      const own = await database.open()
      await migrate(own.knex)
      const wire = await wireToRedis()
      const prefix = ownPrefix()
      const others = Array.from({ length: count }, () => own.connect())
      onTestFinished(async () => {
        for (const other of others) await other.destroy()
        await own.close()
      })
      const delivered = async () =>
        Number((await own.knex('webhooks_deliveries').where('status', 'delivered').count({ count: '*' }))[0]?.count)
      const workers = others.map((knex) => processOn(knexStorage(knex), wire, prefix))
      return { ...own, wire, prefix, delivered, workers, publisher: processOn(knexStorage(own.knex), wire, prefix) }
    }

    it('delivers 2,000, nothing twice, though nobody looks', async () => {
      const { publisher, workers, delivered, wire } = await opened()
      const target = await receiver()
      await endpointsOf(publisher.webhooks, target)
      const running = workers.map(({ startWorker }) => startWorker({ pollMs: 60_000 }))
      const began = performance.now()
      const expected = await publishTo(publisher.webhooks, 200)
      await expect.poll(delivered, { timeout: 30_000, interval: 50 }).toBe(2_000)
      const seconds = (performance.now() - began) / 1_000
      console.info(
        `BullMQ over ${database.name}: 2,000 in ${seconds.toFixed(1)} s, ${arrived(target).length - 2_000} twice, ${wire.open()} connections`,
      )
      expect(new Set(arrived(target))).toEqual(expected)
      expect(target.received.length).toBe(2_000)
      // Three of each worker, and one of the publisher.
      expect(wire.open()).toBeLessThanOrEqual(7)
      await Promise.all(running.map((worker) => worker.stop()))
      await publisher.dispatch.close()
      await expect.poll(wire.open).toBe(0)
    }, 60_000)

    it('loses nothing when Redis is wiped again and again, whole or in part', async () => {
      const { publisher, workers, delivered, wire, prefix } = await opened()
      let held: (() => void)[] | null = null
      const target = await receiver((_, __, response) => {
        if (held) held.push(() => response.end())
        else response.end()
      })
      // More than the two workers hold jobs of, so that some are in Redis alone.
      const many = Array.from({ length: 100 }, (_, n) => `/hooks/${n}`)
      await endpointsOf(publisher.webhooks, target, many)
      const queue = queueOf(wire, prefix)
      const running = workers.map(({ startWorker }) => startWorker({ concurrency: 2, pollMs: 250 }))
      const expected = new Set<string>()
      const wiped: string[] = []
      for (let n = 1; n <= 5; n++) {
        held = []
        for (const one of await publishTo(publisher.webhooks, 4, many)) expected.add(one)
        await expect.poll(() => queue.getWaitingCount(), { interval: 5 }).toBeGreaterThan(40)
        // At last without the jobs, and with the marks by which jobs like them are kept out.
        const isKept = (key: string) => n === 5 && key.includes(':de:')
        wiped.push(`${await queue.getWaitingCount()} jobs in ${await wipe(prefix, isKept)} keys`)
        for (const answer of held.splice(0)) answer()
        held = null
        await expect.poll(() => target.received.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(n * 400 - 100)
      }
      await expect.poll(delivered, { timeout: 30_000, interval: 50 }).toBe(2_000)
      console.info(
        `BullMQ over ${database.name}: lost ${wiped.join(', ')}; ${arrived(target).length - 2_000} of 2,000 twice`,
      )
      expect(new Set(arrived(target))).toEqual(expected)
      expect(target.received.length).toBe(2_000)
      await Promise.all(running.map((worker) => worker.stop()))
    }, 90_000)

    it.skipIf(database.name === 'sqlite')('finds what its job came too early for', async () => {
      const { publisher, workers, knex, wire, prefix } = await opened()
      const target = await receiver()
      await publisher.webhooks.endpoints.create(scope, { url: target.url })
      workers[0]?.startWorker({ pollMs: 60_000 })
      const queue = queueOf(wire, prefix)
      await knex.transaction(async (tx) => {
        await publisher.webhooks.publish(keyCreated, { tx })
        await expect.poll(() => queue.getCompletedCount(), { interval: 5 }).toBeGreaterThan(0)
      })
      await expect.poll(() => target.received.length).toBe(1)
    })
  })
}

describe.skipIf(missing)('BullMQ', () => {
  const opened = async () => {
    const wire = await wireToRedis()
    const prefix = ownPrefix()
    const storage = memoryStorage()
    return { wire, prefix, storage, one: processOn(storage, wire, prefix), two: processOn(storage, wire, prefix) }
  }

  it('may be away: publishing succeeds, workers look, and it takes over again', async () => {
    const { wire, one: publisher, two: working } = await opened()
    const target = await receiver()
    await publisher.webhooks.endpoints.create(scope, { url: target.url })
    working.startWorker({ pollMs: 200 })
    await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(1)
    await wire.cut()
    const publishTen = async () => {
      for (let n = 0; n < 10; n++) {
        const before = performance.now()
        await publisher.webhooks.publish(keyCreated)
        expect(performance.now() - before).toBeLessThan(5_000)
      }
    }
    await publishTen()
    // Once for each of the two, not for each message.
    const warnings = () => [...publisher.logger.entries, ...working.logger.entries].filter((e) => e.level === 'warn')
    await expect.poll(() => warnings().length).toBe(2)
    await publishTen()
    await expect.poll(() => target.received.length).toBe(21)
    expect(warnings().length).toBe(2)
    await wire.mend()
    await expect.poll(wire.open).toBeGreaterThanOrEqual(3)
    await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(22)
  }, 40_000)

  it('was never there: publishing succeeds, workers look, and stop', async () => {
    const { wire, one: publisher, two: working } = await opened()
    await wire.cut()
    const target = await receiver()
    await publisher.webhooks.endpoints.create(scope, { url: target.url })
    const worker = working.startWorker({ pollMs: 200 })
    await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(1)
    await worker.stop()
    await publisher.dispatch.close()
  }, 30_000)

  it('hands out what is tried again, limited or in order', async () => {
    const { one: publisher, two: working } = await opened()
    let failures = 0
    const target = await receiver(({ path }, __, response) => {
      const fails = path === '/failing' && failures++ < 2
      response.writeHead(fails ? 500 : 200).end()
    })
    const url = (path: string) => new URL(path, target.url).href
    const { endpoints, publish } = publisher.webhooks
    await endpoints.create(scope, { url: url('/failing'), eventTypes: ['key.created'] })
    await endpoints.create(scope, {
      url: url('/limited'),
      eventTypes: ['key.revoked'],
      rateLimit: { limit: 10, periodMs: 1_000 },
    })
    await endpoints.create(scope, { url: url('/ordered'), eventTypes: ['key.revoked'], ordering: 'key' })
    working.startWorker({ pollMs: 60_000 })
    await publish(keyCreated)
    const revoked = { ...keyCreated, type: 'key.revoked', orderingKey: 'key_1' } as const
    const ids: string[] = []
    for (let n = 0; n < 20; n++) ids.push((await publish(revoked)).messageId)
    const on = (path: string) => target.received.filter((one) => one.path === path)
    await expect.poll(() => on('/failing').length).toBe(3)
    await expect.poll(() => on('/ordered').length).toBe(20)
    await expect.poll(() => on('/limited').length).toBe(20)
    expect(on('/ordered').map(({ headers }) => headers['webhook-id'])).toEqual(ids)
  }, 30_000)

  it('does no harm by jobs that nobody knows of, or that come twice', async () => {
    const { wire, prefix, one: publisher, two: working } = await opened()
    const target = await receiver()
    const { id } = await publisher.webhooks.endpoints.create(scope, { url: target.url })
    working.startWorker({ pollMs: 60_000 })
    await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(1)
    const queue = queueOf(wire, prefix)
    const odd = [{}, { endpointId: 7 }, { endpointId: 'ep_nobody' }, { endpointId: id }, { endpointId: id }]
    const names = ['published', 'due', 'look', 'other']
    await queue.addBulk(odd.flatMap((data) => names.map((name) => ({ name, data }))))
    await expect.poll(() => queue.getCompletedCount()).toBeGreaterThanOrEqual(20)
    await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(2)
    expect(working.logger.entries).toEqual([])
  })

  it('leaves to others what a full worker cannot take, and what a stopped one had', async () => {
    const { one: publisher, two: working } = await opened()
    const hanging = await receiver(() => {})
    const target = await receiver()
    await publisher.webhooks.endpoints.create(scope, { url: hanging.url, eventTypes: ['key.created'] })
    await publisher.webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.revoked'] })
    const full = publisher.startWorker({ concurrency: 1, maxInFlightPerEndpoint: 1, pollMs: 60_000 })
    for (let n = 0; n < 10; n++) await publisher.webhooks.publish(keyCreated)
    await expect.poll(() => hanging.received.length).toBe(1)
    await publisher.webhooks.publish({ ...keyCreated, type: 'key.revoked' })
    working.startWorker({ pollMs: 60_000 })
    await full.stop({ graceMs: 0 })
    await expect.poll(() => target.received.length).toBe(1)
    await expect.poll(() => hanging.received.length).toBe(11)
  })

  it('gets back what a worker that stops had taken', async () => {
    const jobs: DispatchJob[] = []
    const takes: DispatchConsumer['take'][] = []
    const dispatch: Dispatch = {
      enqueue: async (added) => void jobs.push(...added),
      consume({ take }) {
        takes.push(take)
        return async () => {}
      },
      close: async () => {},
    }
    const webhooks = createWebhooks({ dispatch, logger: recordingLogger(), network: loopback })
    const target = await receiver(() => {})
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    const worker = webhooks.startWorker({ concurrency: 1, pollMs: 60_000 })
    for (let n = 0; n < 5; n++) await webhooks.publish(keyCreated)
    expect(await takes[0]?.({ kind: 'due', endpointId: id })).toBe(true)
    await expect.poll(() => target.received.length).toBe(1)
    const waiting = takes[0]?.({ kind: 'due', endpointId: 'ep_other' })
    jobs.length = 0
    await worker.stop({ graceMs: 0 })
    expect(await waiting).toBe(false)
    expect(jobs).toEqual([{ kind: 'due', endpointId: id }])
  })

  it('wakes who fans out', async () => {
    const { one: publisher, two: working } = await opened()
    const target = await receiver()
    for (let n = 0; n < 101; n++) await publisher.webhooks.endpoints.create(scope, { url: `${target.url}/${n}` })
    working.startWorker({ pollMs: 60_000 })
    expect(await publisher.webhooks.publish(keyCreated)).toMatchObject({ deliveries: null })
    await expect.poll(() => target.received.length).toBe(101)
  })

  it('is made as the guide shows, and opens nothing by that', async () => {
    const wire = await wireToRedis()
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    const database = await (sqlite as NonNullable<typeof sqlite>).open()
    const made = queued(database.knex, `redis://127.0.0.1:${wire.connection.port}`)
    expect(made.webhooks.http.name).toBe('webhooks')
    await ended(made)
    expect(wire.open()).toBe(0)
    await database.close()
  })

  it.each([{ queueName: '' }, { queueName: 'a:b' }, { prefix: '' }])('cannot be named %j', (names) => {
    const setup = expect.objectContaining({ code: 'setup_error' })
    expect(() => bullmqDispatch({ connection: {}, ...names })).toThrow(setup)
    expect(() => bullmqDispatch({ connection: { duplicate() {} } })).toThrow(setup)
  })
})
