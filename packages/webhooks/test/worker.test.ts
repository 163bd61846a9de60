import { createServer } from 'node:net'
import { recordingLogger, testDatabases } from '@org/core/testing'
import type { WebhooksStorage } from '@org/webhooks'
import { createWebhooks, memoryStorage } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Gate } from '../src/delivery/signal.js'
import { loopback, receiver } from './receiver.js'
import { keyCreated, scope } from './world.js'

function hosted(storage: WebhooksStorage = memoryStorage(), network = {}) {
  const logger = recordingLogger()
  const webhooks = createWebhooks({ storage, logger, network: { ...loopback, ...network } })
  const startWorker: typeof webhooks.startWorker = (options) => {
    const worker = webhooks.startWorker(options)
    onTestFinished(() => worker.stop({ graceMs: 0 }))
    return worker
  }
  return { webhooks, logger, startWorker }
}

describe('a worker', () => {
  it('wakes when something is published in its process', async () => {
    const { webhooks, startWorker } = hosted()
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    startWorker({ pollMs: 60_000 })
    for (let n = 1; n <= 3; n++) {
      await webhooks.publish(keyCreated)
      await expect.poll(() => target.received.length).toBe(n)
    }
  })

  it('finds by polling what another process published', async () => {
    const storage = memoryStorage()
    const { startWorker } = hosted(storage)
    const { webhooks: other } = hosted(storage)
    const target = await receiver()
    await other.endpoints.create(scope, { url: target.url })
    startWorker({ pollMs: 20 })
    await other.publish(keyCreated)
    await expect.poll(() => target.received.length).toBe(1)
  })

  it('goes on after its storage failed', async () => {
    const inner = memoryStorage()
    let failures = 3
    const flaky: WebhooksStorage = {
      ...inner,
      read: (work, tx) => {
        if (failures > 0) return Promise.reject(new Error(`the database is down ${failures--}`))
        return inner.read(work, tx)
      },
    }
    const { startWorker, logger } = hosted(flaky)
    const { webhooks } = hosted(inner)
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    startWorker({ pollMs: 10 })
    await expect.poll(() => target.received.length).toBe(1)
    // What claims and what does the chores fail and wait each for itself.
    expect(logger.entries.map(({ level }) => level)).toEqual(['error', 'error', 'error'])
    const waits = logger.entries.map(({ fields }) => fields.nextTryInMs)
    expect(waits).toContain(200)
    for (const wait of waits) expect([100, 200, 400]).toContain(wait)
  })

  it('writes the others when one result is refused by a sink', async () => {
    const storage = memoryStorage()
    const logger = recordingLogger()
    const [good, bad] = [await receiver(), await receiver((_, __, response) => response.writeHead(500).end())]
    const webhooks = createWebhooks({
      storage,
      logger,
      network: loopback,
      retry: { scheduleMs: [0] },
      events: ({ type }) => {
        if (type === 'delivery.dead_lettered') throw new Error('a sink refused')
      },
    })
    await webhooks.endpoints.create(scope, { url: bad.url })
    await webhooks.endpoints.create(scope, { url: good.url })
    for (let n = 0; n < 20; n++) await webhooks.publish(keyCreated)
    const worker = webhooks.startWorker()
    const delivered = async () => (await webhooks.deliveries.list(scope, { status: 'delivered' })).data.length
    await expect.poll(delivered).toBe(20)
    await worker.stop()
    expect((await webhooks.deadLetters.list(scope)).data).toEqual([])
    expect(logger.entries.length).toBeGreaterThan(0)
  })

  it('finishes what it sends before it stops, and takes nothing more', async () => {
    const { webhooks, startWorker } = hosted()
    const answered: (() => void)[] = []
    const target = await receiver((_, __, response) => void answered.push(() => response.end()))
    await webhooks.endpoints.create(scope, { url: target.url })
    for (let n = 0; n < 3; n++) await webhooks.publish(keyCreated)
    const worker = startWorker({ concurrency: 2 })
    await expect.poll(() => answered.length).toBe(2)
    const stopped = worker.stop()
    expect(worker.stop()).toBe(stopped)
    for (const answer of answered) answer()
    await stopped
    const statuses = (await webhooks.deliveries.list(scope)).data.map(({ status }) => status)
    expect(statuses.sort()).toEqual(['delivered', 'delivered', 'pending'])
    expect(target.received.length).toBe(2)
  })

  it('releases what a receiver will not answer within the grace, without using up an attempt of the schedule', async () => {
    const storage = memoryStorage()
    const { webhooks, startWorker } = hosted(storage)
    let hang = true
    const target = await receiver((_, __, response) => void (hang || response.end()))
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    const worker = startWorker()
    await expect.poll(() => target.received.length).toBe(1)
    await worker.stop({ graceMs: 10 })
    const [delivery] = (await webhooks.deliveries.list(scope)).data
    expect(delivery).toMatchObject({ status: 'pending', attempts: 1, lastError: 'worker_stopped' })
    const stored = await storage.read(({ deliveries }) => deliveries.get('t1', delivery?.id ?? ''))
    expect([stored?.step, stored?.leaseToken]).toEqual([0, null])
    hang = false
    expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
  })

  it('releases what it claims while it is told to stop', async () => {
    const inner = memoryStorage()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let waiting = false
    const storage: WebhooksStorage = {
      ...inner,
      run: async (work, tx) => {
        const result = await inner.run(work, tx)
        if ((result as { jobs?: unknown[] } | undefined)?.jobs?.length) {
          waiting = true
          await gate
        }
        return result
      },
    }
    const { webhooks, startWorker } = hosted(storage)
    const target = await receiver(() => {})
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    const worker = startWorker()
    await expect.poll(() => waiting).toBe(true)
    const aborted = new Promise((resolve) => setTimeout(resolve, 5)) // after the grace of 0 ms
    const stopped = worker.stop({ graceMs: 0 })
    await aborted
    open()
    await stopped
    expect((await webhooks.deliveries.list(scope)).data).toMatchObject([{ status: 'pending' }])
    expect(target.received).toEqual([])
  })

  it('stops sooner when it is told again, though a receiver never ends its TLS handshake', async () => {
    const { webhooks, startWorker } = hosted()
    let connected = false
    const server = createServer((socket) => {
      connected = true
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    await webhooks.endpoints.create(scope, { url: `https://127.0.0.1:${port}/` })
    await webhooks.publish(keyCreated)
    const worker = startWorker()
    await expect.poll(() => connected).toBe(true)
    await expect(worker.stop({ graceMs: Number.NaN })).rejects.toMatchObject({ code: 'setup_error' })
    await expect(worker.stop({ graceMs: -1 })).rejects.toMatchObject({ code: 'setup_error' })
    void worker.stop({ graceMs: Number.POSITIVE_INFINITY })
    await worker.stop({ graceMs: 0 })
    expect((await webhooks.deliveries.list(scope)).data).toMatchObject([{ lastError: 'worker_stopped' }])
  })

  it('goes on with the rest while a sink refuses the only result there is', async () => {
    const logger = recordingLogger()
    const [good, bad] = [await receiver(), await receiver((_, __, response) => response.writeHead(500).end())]
    const webhooks = createWebhooks({
      storage: memoryStorage(),
      logger,
      network: loopback,
      retry: { scheduleMs: [0] },
      events: ({ type }) => {
        if (type === 'delivery.dead_lettered') throw new Error('a sink refused')
      },
    })
    const { id } = await webhooks.endpoints.create(scope, { url: bad.url })
    await webhooks.publish(keyCreated)
    const worker = webhooks.startWorker()
    onTestFinished(() => worker.stop({ graceMs: 0 }))
    await expect.poll(() => logger.entries.length).toBeGreaterThan(0)
    await webhooks.endpoints.disable(scope, id)
    await webhooks.endpoints.create(scope, { url: good.url })
    await webhooks.publish(keyCreated)
    await expect.poll(() => good.received.length).toBe(1)
    const given = () => logger.entries.some(({ fields }) => Array.isArray(fields?.deliveryIds))
    await expect.poll(given).toBe(true)
  })

  it('keeps places free while one endpoint hangs', async () => {
    const { webhooks, startWorker } = hosted()
    const [hanging, good] = [await receiver(() => {}), await receiver()]
    await webhooks.endpoints.create(scope, { url: hanging.url })
    for (let n = 0; n < 50; n++) await webhooks.publish(keyCreated)
    startWorker({ concurrency: 10, maxInFlightPerEndpoint: 4 })
    await expect.poll(() => hanging.received.length).toBe(4)
    await webhooks.endpoints.create(scope, { url: good.url })
    for (let n = 0; n < 20; n++) await webhooks.publish(keyCreated)
    await expect.poll(() => good.received.length).toBe(20)
    expect(hanging.received.length).toBe(4)
  })

  it.each([{ concurrency: 0 }, { pollMs: -1 }, { maxInFlightPerEndpoint: 1.5 }, { workers: 2 }])(
    'cannot be %j',
    (options) => {
      expect(() => hosted().webhooks.startWorker(options as never)).toThrow(/not valid/)
    },
  )

  it('claims no more while what it has sent cannot be written', async () => {
    const inner = memoryStorage()
    const open = new Gate()
    let blocked = true
    const finish: typeof inner.run = (work, ...rest) =>
      inner.run(
        async (stores, tx) => {
          const deliveries = { ...stores.deliveries }
          deliveries.finishDelivered = async (...args) => {
            if (blocked) await open.wait()
            return stores.deliveries.finishDelivered(...args)
          }
          return work({ ...stores, deliveries }, tx)
        },
        ...rest,
      )
    // What claims is let through beside it.
    const storage = { ...inner, run: finish }
    const { webhooks, startWorker } = hosted(storage)
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publishBatch(Array.from({ length: 200 }, () => keyCreated))
    startWorker({ concurrency: 10, pollMs: 10 })
    await expect.poll(() => target.received.length).toBe(10)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(target.received.length).toBe(10)
    blocked = false
    open.open()
    await expect.poll(() => target.received.length).toBe(200)
  })

  it('writes with a second hand what piles up while the first is busy', async () => {
    const inner = memoryStorage()
    const blocked = new Gate()
    let isFirst = true
    const storage: WebhooksStorage = {
      ...inner,
      async run(work, tx, options) {
        // Only what ended waits for locks for so long and no longer.
        if (options?.lockTimeoutMs !== undefined && isFirst) {
          isFirst = false
          await blocked.wait()
        }
        return inner.run(work, tx, options)
      },
    }
    const { webhooks, startWorker } = hosted(storage)
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    for (let n = 0; n < 10; n++) await webhooks.publishBatch(Array.from({ length: 100 }, () => keyCreated))
    startWorker({ concurrency: 1_000, maxInFlightPerEndpoint: 1_000 })
    const all = { limit: 2_000, after: null }
    const delivered = () =>
      inner.read(({ deliveries }) => deliveries.list('t1', { status: 'delivered' }, all)).then((rows) => rows.length)
    await expect.poll(delivered).toBeGreaterThanOrEqual(350)
    blocked.open()
    await expect.poll(delivered).toBe(1_000)
  })

  it('stops at once while its database is away', async () => {
    const inner = memoryStorage()
    const away = () => Promise.reject(new Error('the database is away'))
    const { startWorker, logger } = hosted({ ...inner, read: away, run: away })
    const worker = startWorker()
    // Each failure waits twice as long as the one before it.
    const waits = () => logger.entries.map(({ fields }) => Number(fields?.nextTryInMs))
    await expect.poll(() => Math.max(0, ...waits()), { timeout: 20_000 }).toBeGreaterThanOrEqual(6_400)
    const began = performance.now()
    await worker.stop()
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('does its other chores while fanning out fails', async () => {
    const inner = memoryStorage()
    const storage: WebhooksStorage = {
      ...inner,
      run: (work, ...rest) =>
        inner.run(
          (stores, tx) => {
            const toFanOut = () => Promise.reject(new Error('no fan-out'))
            return work({ ...stores, messages: { ...stores.messages, toFanOut } }, tx)
          },
          ...rest,
        ),
    }
    const { webhooks, startWorker } = hosted(storage)
    const target = await receiver()
    const { id } = await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.revoked'] })
    await webhooks.publish(keyCreated)
    startWorker({ pollMs: 10 })
    const job = await webhooks.replay(scope, { endpointId: id, since: 0 })
    await expect.poll(async () => (await webhooks.jobs.get(scope, job.id)).status).toBe('done')
  })

  it('serves others while one tenant’s slow endpoints would take all places', async () => {
    const { webhooks, startWorker } = hosted()
    const hanging = await receiver(() => {})
    const good = await receiver()
    for (let n = 0; n < 6; n++) await webhooks.endpoints.create(scope, { url: hanging.url })
    await webhooks.publishBatch(Array.from({ length: 20 }, () => keyCreated))
    startWorker({ concurrency: 10, maxInFlightPerEndpoint: 4 })
    await expect.poll(() => hanging.received.length).toBeGreaterThanOrEqual(10)
    const healthy = { ...scope, tenantId: 'healthy' }
    await webhooks.endpoints.create(healthy, { url: good.url })
    await webhooks.publishBatch(Array.from({ length: 50 }, () => ({ ...keyCreated, tenantId: 'healthy' })))
    // The deadline of those that hang is 20 s.
    await expect.poll(() => good.received.length).toBe(50)
    // A tenant has no more than its share under way.
    expect(hanging.received.length).toBeLessThanOrEqual(20)
  }, 20_000)

  it('comes back from a stop with a grace although its database never answers again', async () => {
    const inner = memoryStorage()
    let silent = false
    const never = new Promise<never>(() => {})
    const storage: WebhooksStorage = {
      ...inner,
      read: (...args) => (silent ? never : inner.read(...args)),
      run: (...args) => (silent ? never : inner.run(...args)),
    }
    const logger = recordingLogger()
    const webhooks = createWebhooks({ storage, logger, network: loopback })
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    const worker = webhooks.startWorker({ pollMs: 10 })
    silent = true
    await new Promise((resolve) => setTimeout(resolve, 50))
    await worker.stop({ graceMs: 0 })
    expect(logger.entries.at(-1)?.message).toContain('does not answer')
  }, 20_000)

  it('asks its database a few times, and not at the end of each send, while all there is is being sent', async () => {
    const inner = memoryStorage()
    let looks = 0
    const storage: WebhooksStorage = {
      ...inner,
      read: (work, tx) =>
        inner.read((stores) => {
          const agenda = () => {
            looks++
            return stores.deliveries.agenda()
          }
          return work({ ...stores, deliveries: { ...stores.deliveries, agenda } })
        }, tx),
    }
    const { webhooks, startWorker } = hosted(storage)
    let answered = 0
    const target = await receiver((_, __, response) => void setTimeout(() => response.end(), 5 * ++answered))
    for (let n = 0; n < 5; n++) await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publishBatch(Array.from({ length: 20 }, () => keyCreated))
    startWorker()
    await expect.poll(() => target.received.length).toBe(100)
    looks = 0
    const all = { limit: 200, after: null }
    const delivered = () => inner.read(({ deliveries }) => deliveries.list('t1', { status: 'delivered' }, all))
    await expect.poll(async () => (await delivered()).length).toBe(100)
    expect(looks).toBeLessThan(30)
  })

  it('opens no socket before there is something to send', async () => {
    const server = createServer()
    let connections = 0
    server.on('connection', () => void connections++)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { startWorker, webhooks } = hosted()
    const { port } = server.address() as { port: number }
    await webhooks.endpoints.create(scope, { url: `http://127.0.0.1:${port}/` })
    const worker = startWorker({ pollMs: 5 })
    await webhooks.drain()
    await worker.stop()
    expect(connections).toBe(0)
  })
})

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`two workers on ${database.name}`, () => {
    it('never both finish a delivery', async () => {
      const opened = await database.open()
      await migrate(opened.knex)
      const second = opened.connect()
      const target = await receiver()
      const [one, two] = [hosted(knexStorage(opened.knex)), hosted(knexStorage(second))]
      await one.webhooks.endpoints.create(scope, { url: target.url })
      const total = 150
      for (let n = 0; n < total; n++) await one.webhooks.publish(keyCreated)
      const counts = await Promise.all([one.webhooks.drain(), two.webhooks.drain()])
      expect((counts[0]?.delivered ?? 0) + (counts[1]?.delivered ?? 0)).toBe(total)
      expect(target.received.length).toBe(total)
      expect(new Set(target.ids()).size).toBe(total)
      const attempts = await opened.knex('webhooks_attempts').count({ count: '*' })
      expect(Number(attempts[0]?.count)).toBe(total)
      await second.destroy()
      await opened.close()
    })

    it('leave a pool of one to the host while a receiver hangs', async () => {
      const opened = await database.open({ pool: 1 })
      await migrate(opened.knex)
      const { webhooks, startWorker } = hosted(knexStorage(opened.knex))
      const target = await receiver(() => {})
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      const worker = startWorker({ pollMs: 10 })
      await expect.poll(() => target.received.length).toBe(1)
      await opened.knex.transaction((tx) => webhooks.publish(keyCreated, { tx }))
      await expect.poll(() => target.received.length).toBe(2)
      await worker.stop({ graceMs: 0 })
      await opened.close()
    })
  })
}
