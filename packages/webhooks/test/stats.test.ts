import { isProblem } from '@org/core'
import { httpTargets, mounted, testDatabases } from '@org/core/testing'
import { createWebhooks, type WebhooksStorage } from '@org/webhooks'
import * as express from '@org/webhooks/express'
import { knexStorage, migrate } from '@org/webhooks/knex'
import * as koa from '@org/webhooks/koa'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import type { Result } from '../src/delivery/attempt.js'
import { percentile } from '../src/stats/percentile.js'
import { emptyStats, statsOf } from '../src/stats/tally.js'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const hour = 3_600_000
const codeOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? error.code : error
}

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`stats on ${name}`, () => {
    it('count attempts and how long they took, by the hour', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, retry: { scheduleMs: [0, hour] } })
      const steps: [status: number, ms: number][] = [
        [200, 40],
        [200, 80],
        [500, 3_000],
        [200, 12_000],
        [200, 30],
      ]
      const target = await receiver((_, __, response) => {
        const [status = 200, ms = 0] = steps.shift() ?? []
        clock.advance(ms)
        response.writeHead(status).end()
      })
      const endpoint = await webhooks.endpoints.create(scope, { url: target.url })
      const other = await webhooks.endpoints.create(scope, { url: 'https://example.com', eventTypes: ['key.revoked'] })
      const begin = clock.now()
      for (let n = 0; n < 3; n++) {
        await webhooks.publish(keyCreated)
        await webhooks.drain()
      }
      clock.set(begin + 2 * hour)
      await webhooks.drain()
      await webhooks.publish(keyCreated)
      await webhooks.drain()
      const stats = await webhooks.endpoints.stats(scope, endpoint.id)
      expect(stats).toEqual({
        since: begin + 2 * hour - 7 * 24 * hour,
        until: begin + 3 * hour,
        attempts: 5,
        succeeded: 4,
        failed: 1,
        successRate: 0.8,
        p50Ms: 75, // the half of one within (50, 100]
        p95Ms: 11_500, // three quarters of one between 10 s and the longest
        p99Ms: 11_900,
        maxMs: 12_000,
        series: [
          { hour: begin, attempts: 3, failures: 1, p50Ms: 75, p95Ms: 2_925 },
          { hour: begin + 2 * hour, attempts: 2, failures: 0, p50Ms: 50, p95Ms: 11_800 },
        ],
        pending: { count: 0, capped: false },
        held: { count: 0, capped: false },
        deadLetters: { count: 0, capped: false },
        circuit: 'closed',
        failingSince: null,
        consecutiveFailures: 0,
      })
      const firstHour = await webhooks.endpoints.stats(scope, endpoint.id, { since: begin + 1, until: begin + 2 })
      expect([firstHour.attempts, firstHour.since, firstHour.until]).toEqual([3, begin, begin + hour])
      const none = await webhooks.endpoints.stats(scope, other.id)
      expect(none).toMatchObject({ attempts: 0, successRate: null, p50Ms: null, maxMs: null, series: [] })
      const elsewhere = { tenantId: 't2' }
      expect(await codeOf(webhooks.endpoints.stats(elsewhere, endpoint.id))).toBe('not_found')
      const ranges = [{ since: 2, until: 1 }, { since: 0 }, { since: 1.5 }, { from: 1 } as never]
      for (const range of ranges) {
        expect(await codeOf(webhooks.endpoints.stats(scope, endpoint.id, range))).toBe('invalid_input')
      }
      await close()
    })

    it('say what waits, and how the circuit stands', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, retry: { scheduleMs: [0, 1_000] } })
      let status = 500
      const target = await receiver((_, __, response) => response.writeHead(status).end())
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      const stats = () => webhooks.endpoints.stats(scope, id)
      const began = clock.now()
      for (let n = 0; n < 9; n++) await webhooks.publish(keyCreated)
      await webhooks.drain()
      expect(await stats()).toMatchObject({ pending: { count: 9 }, circuit: 'closed', consecutiveFailures: 9 })
      clock.advance(60_000)
      await webhooks.drain()
      expect(await stats()).toMatchObject({
        attempts: 18,
        failed: 18,
        successRate: 0,
        pending: { count: 0 },
        deadLetters: { count: 9, capped: false },
        circuit: 'open',
        failingSince: began,
        consecutiveFailures: 18,
      })
      clock.advance(31_000)
      expect(await stats()).toMatchObject({ circuit: 'half_open' })
      await webhooks.endpoints.disable(scope, id)
      await webhooks.publish(keyCreated)
      await webhooks.drain()
      expect(await stats()).toMatchObject({ held: { count: 1, capped: false } })
      status = 200
      await webhooks.endpoints.enable(scope, id)
      await webhooks.drain()
      expect(await stats()).toMatchObject({ held: { count: 0 }, circuit: 'closed', failingSince: null })
      await close()
    })

    it('stop counting at ten thousand', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { id } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      await webhooks.publish(keyCreated)
      const [{ id: _, ...delivery } = undefined as never] = await storage.read(({ deliveries }) =>
        deliveries.list('t1', {}, { limit: 1, after: null }),
      )
      const rows = Array.from({ length: 10_001 }, (_, n) => ({ ...delivery, id: `del_${n}`, status: 'held' as const }))
      await storage.run(({ deliveries }) => deliveries.insert(rows.slice(1)))
      expect(await webhooks.endpoints.stats(scope, id)).toMatchObject({ held: { count: 10_000, capped: false } })
      await storage.run(({ deliveries }) => deliveries.insert(rows.slice(0, 1)))
      expect(await webhooks.endpoints.stats(scope, id)).toMatchObject({ held: { count: 10_000, capped: true } })
      await close()
    })

    it('are written with what they count, or not at all', async () => {
      const { storage, close } = await open()
      const refuse = { on: true }
      const { webhooks } = world({
        storage,
        retry: { scheduleMs: [0] },
        events: ({ type }) => {
          if (refuse.on && type === 'delivery.dead_lettered') throw new Error('a sink refused')
        },
      })
      const target = await receiver((_, __, response) => response.writeHead(500).end())
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      await expect(webhooks.drain()).rejects.toThrow('a sink refused')
      expect(await webhooks.endpoints.stats(scope, id)).toMatchObject({ attempts: 0 })
      await close()
    })

    it('tell the health of the engine', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const target = await receiver()
      const bad = await receiver((_, __, response) => response.writeHead(500).end())
      await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.created'] })
      const idle = { ok: true, lagMs: null, dueEndpoints: 0, lastSuccessAt: null }
      const none = { fanOutsPending: { count: 0, capped: false } }
      expect(await webhooks.health()).toEqual({ ...idle, ...none })
      await webhooks.publish(keyCreated)
      clock.advance(300_000)
      expect(await webhooks.health()).toEqual({ ...idle, ...none, lagMs: 300_000, dueEndpoints: 1 })
      clock.advance(1)
      expect(await webhooks.health()).toMatchObject({ ok: false, lagMs: 300_001 })
      expect(await webhooks.health({ maxLagMs: 400_000 })).toMatchObject({ ok: true })
      expect(await codeOf(webhooks.health({ maxLagMs: Number.NaN }))).toBe('setup_error')
      await webhooks.drain()
      expect(await webhooks.health()).toEqual({ ...idle, ...none, lastSuccessAt: clock.now() })

      // An endpoint that keeps failing waits by design.
      await webhooks.endpoints.create(scope, { url: bad.url, eventTypes: ['key.revoked'] })
      const revoked = { tenantId: 't1', type: 'key.revoked', data: { keyId: 'key_1' } } as const
      for (let n = 0; n < 10; n++) await webhooks.publish(revoked)
      await webhooks.drain()
      clock.advance(3_600_000)
      expect(await webhooks.health()).toMatchObject({ ok: true, lagMs: null, dueEndpoints: 0 })

      // And so does one that takes no more for now.
      const rateLimit = { limit: 1, periodMs: 3_600_000 }
      await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['quota.exceeded'], rateLimit })
      const exceeded = { tenantId: 't1', type: 'quota.exceeded', data: { feature: 'requests' } } as const
      for (let n = 0; n < 2; n++) await webhooks.publish(exceeded)
      expect(await webhooks.health()).toMatchObject({ lagMs: 0, dueEndpoints: 1 })
      await webhooks.drain()
      clock.advance(1_800_000)
      expect(await webhooks.health()).toMatchObject({ lagMs: null, dueEndpoints: 0 })
      await close()
    })

    it('add up, whatever each batch knows of', async () => {
      const { storage, close } = await open()
      const fast = { ...emptyStats('ep_1', 't1', hour), attempts: 1, upTo50: 1, durationMs: 20, maxMs: 20 }
      const slow = {
        ...emptyStats('ep_2', 't1', hour),
        attempts: 1,
        failures: 1,
        longer: 1,
        durationMs: 4e9,
        maxMs: 4e9,
      }
      for (const rows of [[fast], [fast, slow], [slow], []]) await storage.run(({ stats }) => stats.add(rows))
      const of = (tenantId: string, id: string) =>
        storage.read(({ stats }) => stats.between(tenantId, id, hour, hour + 1))
      expect(await of('t1', 'ep_1')).toEqual([{ ...fast, attempts: 2, upTo50: 2, durationMs: 40 }])
      expect(await of('t1', 'ep_2')).toEqual([{ ...slow, attempts: 2, failures: 2, longer: 2, durationMs: 8e9 }])
      expect(await of('T1', 'ep_1')).toEqual([])
      expect(await storage.read(({ stats }) => stats.between('t1', 'ep_1', 0, hour))).toEqual([])
      await close()
    })

    it('count the messages that a worker has to fan out', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      for (let n = 0; n < 101; n++) {
        await webhooks.endpoints.create(scope, { url: `https://example.com/${n}` })
      }
      await webhooks.publish(keyCreated)
      expect((await webhooks.health()).fanOutsPending).toEqual({ count: 1, capped: false })
      await close()
    })
  })
}

it('a batch is one row for each endpoint, without what says nothing of it', () => {
  const of = (endpointId: string, error: string | null, durationMs: number) =>
    ({ job: { delivery: { endpointId, tenantId: 't1' } }, attempt: { error, durationMs } }) as unknown as Result
  const unsent = { job: { delivery: { endpointId: 'ep_3', tenantId: 't1' } }, attempt: null } as unknown as Result
  const failed = [of('ep_1', 'timeout', 10_001), of('ep_1', 'transform_failed', 0), of('ep_3', 'worker_stopped', 9)]
  expect(statsOf([of('ep_2', null, 50.4), ...failed, of('ep_2', null, 51), unsent], 2 * hour + 1)).toEqual([
    { ...emptyStats('ep_1', 't1', 2 * hour), attempts: 2, failures: 2, longer: 1, durationMs: 10_001, maxMs: 10_001 },
    { ...emptyStats('ep_2', 't1', 2 * hour), attempts: 2, upTo50: 1, upTo100: 1, durationMs: 101, maxMs: 51 },
  ])
})

describe('percentiles', () => {
  const of = (buckets: object, maxMs: number) => ({ ...emptyStats('ep_1', 't1', 0), ...buckets, maxMs })

  it('spread a bucket evenly, and never pass the longest', () => {
    expect(percentile(of({}, 0), 0.5)).toBe(null)
    expect(percentile(of({ upTo50: 10 }, 50), 0.5)).toBe(25)
    expect(percentile(of({ upTo50: 1 }, 0), 0.99)).toBe(0)
    expect(percentile(of({ upTo100: 4 }, 60), 1)).toBe(60)
    expect(percentile(of({ upTo50: 90, upTo500: 10 }, 500), 0.9)).toBe(50)
    expect(percentile(of({ upTo50: 90, upTo500: 10 }, 500), 0.95)).toBe(375)
    expect(percentile(of({ longer: 2 }, 20_000), 0.5)).toBe(15_000)
  })
})

for (const target of await testDatabases()) {
  it.skipIf(target.missing || target.name === 'sqlite')(`workers add side by side on ${target.name}`, async () => {
    const { knex, close } = await target.open({ pool: 8 })
    await migrate(knex)
    const storage: WebhooksStorage = knexStorage(knex)
    const rows = Array.from({ length: 50 }, (_, n) => ({
      ...emptyStats(`ep_${String(n).padStart(3, '0')}`, 't1', 0),
      attempts: 1,
      upTo50: 1,
      maxMs: n,
    }))
    const add = () => storage.run(({ stats }) => stats.add(rows))
    await Promise.all(Array.from({ length: 24 }, add))
    const [found, ...rest] = await storage.read(({ stats }) => stats.between('t1', 'ep_049', 0, 1))
    expect([found, rest]).toEqual([{ ...rows[49], attempts: 24, upTo50: 24 }, []])
    await close()
  })
}

for (const target of httpTargets()) {
  it(`are shown over HTTP: ${target.name}`, async () => {
    const webhooks = createWebhooks({ storage: world().webhooks.http.storage as WebhooksStorage })
    const context = (rights: unknown) => ({
      ...scope,
      ability: { can: (action: string, subject: unknown) => `${subject}:${action}` === rights },
    })
    const server = await target.listen(
      mounted(webhooks.http, {
        express: () => express.webhooksRouter(webhooks, { context: (req) => context(req.headers['x-rights']) }),
        koa: () => koa.webhooksRouter(webhooks, { context: (ctx) => context(ctx.headers['x-rights']) }),
      }),
    )
    const { id } = await webhooks.endpoints.create(scope, { url: 'https://example.com' })
    const get = (path: string, rights: string) => request(server.url).get(path).set('x-rights', rights)
    const since = '2026-01-01T10:20:00Z'
    const path = `/endpoints/${id}/stats?since=${since}&until=2026-01-02T00:00:00Z`
    await get(path, 'webhooks:update').expect(403)
    const { body } = await get(path, 'webhooks:read').expect(200)
    expect(body).toMatchObject({ since: '2026-01-01T10:00:00.000Z', attempts: 0, series: [], failingSince: null })
    await get(`/endpoints/${id}/stats?since=yesterday`, 'webhooks:read').expect(422)
    await get('/endpoints/ep_9/stats', 'webhooks:read').expect(404)
    await server.close()
  })
}
