/** What goes wrong in production, done on purpose: nothing is lost, and what arrives twice was in flight. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { systemClock } from '@org/core'
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import createKnex, { type Knex } from 'knex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { killed, startWorker } from './children.js'
import { loopback, type Receiver, receiver } from './receiver.js'
import { keyCreated, scope } from './world.js'

const run = promisify(execFile)
const databases = await testDatabases()
const postgres = databases.find(({ name }) => name === 'postgres')
const hour = 3_600_000

/** The same kills each time. */
function lcg(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Publishes so many deliveries to ten endpoints of a receiver. Answers what must arrive. */
async function layOut(knex: Knex, target: Receiver, total: number): Promise<Set<string>> {
  await migrate(knex)
  const webhooks = createWebhooks({ storage: knexStorage(knex), network: loopback })
  const paths = Array.from({ length: 10 }, (_, n) => `/hooks/${n}`)
  for (const path of paths) await webhooks.endpoints.create(scope, { url: new URL(path, target.url).href })
  const expected = new Set<string>()
  for (let n = 0; n < total / paths.length; n += 100) {
    const batch = Array.from({ length: Math.min(100, total / paths.length - n) }, () => keyCreated)
    for (const { messageId } of await webhooks.publishBatch(batch)) {
      for (const path of paths) expected.add(`${path} ${messageId}`)
    }
  }
  expect(expected.size).toBe(total)
  return expected
}

const arrived = ({ received }: Receiver) => received.map(({ path, headers }) => `${path} ${headers['webhook-id']}`)

async function countOf(query: Knex.QueryBuilder): Promise<number> {
  return Number((await query.count({ count: '*' }))[0]?.count)
}

describe.skipIf(!postgres || postgres.missing)('a worker on PostgreSQL', () => {
  it('killed at 50 random moments of 10,000 deliveries loses none', async () => {
    const opened = await (postgres as NonNullable<typeof postgres>).open()
    const target = await receiver()
    const total = 10_000
    const kills = 50
    const expected = await layOut(opened.knex, target, total)
    const random = lcg(1)
    for (let n = 0; n < kills; n++) {
      // More than there is, so that the last of them are killed with nothing left to do.
      const wanted = target.received.length + Math.floor(random() * ((total * 1.6) / kills))
      // By its clock, every lease of those that were killed has ended.
      const worker = startWorker(opened.config, n * hour)
      await expect
        .poll(() => target.received.length > wanted, { timeout: 3_000, interval: 2 })
        .toBe(true)
        .catch(() => {})
      await killed(worker)
    }
    const last = startWorker(opened.config, kills * hour)
    const delivered = () => countOf(opened.knex('webhooks_deliveries').where('status', 'delivered'))
    await expect.poll(delivered, { timeout: 60_000, interval: 200 }).toBe(total)

    await killed(last)
    const seen = arrived(target)
    const lost = await countOf(opened.knex('webhooks_attempts').where('error', 'worker_lost'))
    const deadLetters = await countOf(opened.knex('webhooks_deliveries').where('status', 'dead_letter'))
    console.info(
      `${kills} kills: ${total} delivered, ${seen.length - total} twice, ${lost} attempts were in flight, ${deadLetters} dead letters`,
    )
    expect(new Set(seen)).toEqual(expected)
    expect(deadLetters).toBe(0)
    expect(seen.length - total).toBeLessThanOrEqual(lost)
    await opened.close()
  }, 240_000)

  it.each([
    ['30 s ahead of the other: no more than the margin of a lease', 30_000, 0],
    ['an hour ahead of the other: more than any lease', hour, null],
  ])(
    'with a clock %s',
    async (_, ahead, most) => {
      const opened = await (postgres as NonNullable<typeof postgres>).open()
      const target = await receiver((_received, _request, response) => void setTimeout(() => response.end(), 5))
      const total = 2_000
      const expected = await layOut(opened.knex, target, total)
      const clocks = [systemClock, { ...systemClock, now: () => systemClock.now() + ahead }]
      const workers = clocks.map((clock) => {
        const storage = knexStorage(opened.connect())
        const webhooks = createWebhooks({ storage, clock, logger: recordingLogger(), network: loopback })
        return webhooks.startWorker({ concurrency: 20, pollMs: 20 })
      })
      const delivered = () => countOf(opened.knex('webhooks_deliveries').where('status', 'delivered'))
      await expect.poll(delivered, { timeout: 30_000, interval: 50 }).toBe(total)
      await Promise.all(workers.map((worker) => worker.stop()))
      const seen = arrived(target)
      console.info(`clocks ${ahead / 1000} s apart: ${total} delivered, ${seen.length - total} twice`)
      expect(new Set(seen)).toEqual(expected)
      if (most !== null) expect(seen.length - total).toBe(most)
      await opened.close()
    },
    60_000,
  )
})

describe('a worker whose PostgreSQL is restarted', () => {
  it('goes on, and loses nothing', async (test) => {
    const server = await ownPostgres().catch((error: Error) => error)
    if (server instanceof Error) {
      if (process.env.REQUIRE_SERVICES === '1') throw server
      return test.skip(`no PostgreSQL of its own can be started here: ${server.message}`)
    }
    const knex = createKnex({ client: 'pg', connection: server.url, pool: { min: 0, max: 6 } })
    const logger = recordingLogger()
    const target = await receiver((_, __, response) => void setTimeout(() => response.end(), 5))
    const total = 3_000
    const expected = await layOut(knex, target, total)
    let ahead = 0
    const clock = { now: () => systemClock.now() + ahead }
    const webhooks = createWebhooks({ storage: knexStorage(knex), logger, clock, network: loopback })
    const worker = webhooks.startWorker({ concurrency: 50, pollMs: 50 })
    for (const share of [0.2, 0.5]) {
      await expect.poll(() => target.received.length, { timeout: 30_000, interval: 2 }).toBeGreaterThan(total * share)
      await server.restart()
    }
    // What was claimed and never heard of is left to the ends of its lease.
    let [before, unchanged] = [-1, 0]
    const quietFor = () => {
      unchanged = before === target.received.length ? unchanged + 1 : 0
      before = target.received.length
      return unchanged
    }
    await expect.poll(quietFor, { timeout: 60_000, interval: 100 }).toBeGreaterThan(20)
    const inFlight = await countOf(knex('webhooks_deliveries').whereNotNull('lease_token'))
    ahead += hour
    const delivered = () => countOf(knex('webhooks_deliveries').where('status', 'delivered'))
    await expect.poll(delivered, { timeout: 60_000, interval: 200 }).toBe(total)
    await worker.stop()
    const seen = arrived(target)
    console.info(`2 restarts: ${total} delivered, ${seen.length - total} twice, ${inFlight} were left to their leases`)
    expect(new Set(seen)).toEqual(expected)
    expect(seen.length - total).toBeLessThanOrEqual(inFlight)
    expect(logger.entries.length).toBeGreaterThan(0)
    await knex.destroy()
  }, 120_000)
})

/** A server of the test's own, to be restarted as after a crash. @throws if none can be started. */
async function ownPostgres(): Promise<{ url: string; restart(): Promise<unknown> }> {
  const root = '/usr/lib/postgresql'
  const version = existsSync(root) ? readdirSync(root).at(-1) : undefined
  if (!version) throw new Error(`there is none in ${root}`)
  const folder = await mkdtemp('/tmp/org-postgres-')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  // It refuses to be run by root.
  const isRoot = process.getuid?.() === 0
  if (isRoot) await run('chown', ['postgres', folder])
  const bin = (name: string, ...args: string[]) => {
    const path = `${root}/${version}/bin/${name}`
    return isRoot ? run('runuser', ['-u', 'postgres', '--', path, ...args]) : run(path, args)
  }
  const port = await freePort()
  const data = `${folder}/data`
  await bin('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync')
  const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c shared_buffers=32MB`
  const control = (action: string) =>
    bin('pg_ctl', action, '-D', data, '-w', '-m', 'immediate', '-l', `${folder}/log`, '-o', options)
  await bin('pg_ctl', 'start', '-D', data, '-w', '-l', `${folder}/log`, '-o', options)
  onTestFinished(async () => {
    await control('stop').catch(() => {})
  })
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, restart: () => control('restart') }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
