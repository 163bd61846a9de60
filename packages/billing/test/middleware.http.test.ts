/** `requireFeature` and `meterUsage` on routes of the host's own, on both frameworks. */
import { once } from 'node:events'
import { get } from 'node:http'
import KoaRouter from '@koa/router'
import { memoryStorage } from '@org/billing'
import * as onExpress from '@org/billing/express'
import * as onKoa from '@org/billing/koa'
import { type HttpServer, httpTargets } from '@org/core/testing'
import type { ErrorRequestHandler, Request } from 'express'
import type { Context } from 'koa'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { billingOn } from './kit.js'

const identify = (tenantId: unknown) =>
  typeof tenantId === 'string'
    ? { tenantId, actor: { type: 'key' as const, id: 'key_1' }, ability: { can: () => false } }
    : null

const inExpress = (req: Request) => identify(req.headers['x-tenant'])
const inKoa = (ctx: Context) => identify(ctx.headers['x-tenant'])

let tenants = 0

for (const target of httpTargets()) {
  describe(`middleware: ${target.name}`, () => {
    const { billing, clock, types, logger } = billingOn(memoryStorage())
    let server: HttpServer
    /** Tenants one of whose responses has ended, sent or not. */
    const closed = new Set<unknown>()
    /** Lets a test hold requests inside of their handlers. */
    let gate: Promise<void> = Promise.resolve()

    beforeAll(async () => {
      server = await target.listen({
        express(app, prefix) {
          const options = { context: inExpress }
          const meter = onExpress.meterUsage(billing, 'requests', options)
          const answer = (path: string, status: number) =>
            app.get(`${prefix}${path}`, meter, async (req, res) => {
              res.once('close', () => closed.add(req.headers['x-tenant']))
              await gate
              res.status(status).json({ path })
            })
          for (const status of [200, 302, 404, 500]) answer(`/metered/${status}`, status)
          app.get(`${prefix}/metered/throws`, meter, (_req, _res, next) => next(new Error('boom')))
          app.get(
            `${prefix}/all-billed`,
            onExpress.meterUsage(billing, 'requests', { ...options, bills: () => true }),
            (_req, res) => void res.status(500).end(),
          )
          app.get(
            `${prefix}/weighed`,
            onExpress.meterUsage(billing, 'requests', {
              ...options,
              quantity: (req) => Number(req.headers['x-units']),
              idempotencyKey: (req) => req.headers['x-job'] as string | undefined,
            }),
            (req, res) => void res.status(Number(req.headers['x-status'] ?? 200)).end(),
          )
          for (const feature of ['sso', 'moon', 'requests'] as const) {
            app.get(
              `${prefix}/${feature}`,
              onExpress.requireFeature(billing, feature, options),
              (_req, res) => void res.json({}),
            )
          }
          const projects = onExpress.requireFeature(billing, 'projects', {
            ...options,
            needed: (req) => Number(req.headers['x-units']),
          })
          app.get(`${prefix}/projects`, projects, (_req, res) => void res.json({}))
          // Keeps Express from printing the thrown error.
          const quiet: ErrorRequestHandler = (error, _req, res, _next) => void res.status(500).end(String(error))
          app.use(quiet)
        },
        koa(app, prefix) {
          app.silent = true
          const options = { context: inKoa }
          const router = new KoaRouter()
          const meter = onKoa.meterUsage(billing, 'requests', options)
          for (const status of [200, 302, 404, 500]) {
            router.get(`${prefix}/metered/${status}`, meter, async (ctx) => {
              ctx.res.once('close', () => closed.add(ctx.headers['x-tenant']))
              await gate
              ctx.status = status
              ctx.body = {}
            })
          }
          router.get(`${prefix}/metered/throws`, meter, () => {
            throw new Error('boom')
          })
          router.get(
            `${prefix}/all-billed`,
            onKoa.meterUsage(billing, 'requests', { ...options, bills: () => true }),
            (ctx) => {
              ctx.status = 500
            },
          )
          router.get(
            `${prefix}/weighed`,
            onKoa.meterUsage(billing, 'requests', {
              ...options,
              quantity: (ctx) => Number(ctx.headers['x-units']),
              idempotencyKey: (ctx) => ctx.headers['x-job'] as string | undefined,
            }),
            (ctx) => {
              ctx.status = Number(ctx.headers['x-status'] ?? 200)
            },
          )
          for (const feature of ['sso', 'moon', 'requests'] as const) {
            router.get(`${prefix}/${feature}`, onKoa.requireFeature(billing, feature, options), (ctx) => {
              ctx.body = {}
            })
          }
          const projects = onKoa.requireFeature(billing, 'projects', {
            ...options,
            needed: (ctx) => Number(ctx.headers['x-units']),
          })
          router.get(`${prefix}/projects`, projects, (ctx) => {
            ctx.body = {}
          })
          app.use(router.routes())
        },
      })
    })
    afterAll(() => server.close())

    const as = (tenant = `m${++tenants}`) => ({
      tenant,
      get: (path: string, headers: Record<string, string> = {}) =>
        request(server.url).get(path).set('x-tenant', tenant).set(headers),
      used: async () => (await billing.entitlements.check(tenant, 'requests')).used,
    })

    it('meters: limits in the headers, 429 with Retry-After, and the events', async () => {
      const { get, used } = as()
      const reset = String((Date.parse('2026-02-01T00:00:00Z') - clock.now()) / 1000)
      const first = await get('/metered/200').expect(200)
      expect(first.headers).toMatchObject({
        'ratelimit-policy': '"requests";q=10;w=2678400',
        ratelimit: `"requests";r=9;t=${reset}`,
        'ratelimit-limit': '10',
        'ratelimit-remaining': '9',
        'ratelimit-reset': reset,
      })
      const seen = types().length
      for (let i = 0; i < 9; i++) await get('/metered/200').expect(200)
      const refused = await get('/metered/200').expect(429)
      expect(refused.headers).toMatchObject({
        'retry-after': reset,
        ratelimit: `"requests";r=0;t=${reset}`,
        'ratelimit-policy': '"requests";q=10',
        'ratelimit-remaining': '0',
      })
      expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/)
      expect(refused.body).toMatchObject({ code: 'quota_exceeded', limit: 10, used: 10, remaining: 0 })
      expect(types().slice(seen)).toEqual(['alert.triggered', 'alert.triggered', 'quota.exceeded'])
      expect(await used()).toBe(10)
    })

    it('never bills a failed request, unless asked', async () => {
      const { get, used } = as()
      await get('/metered/302').expect(302)
      for (const path of ['/metered/404', '/metered/500', '/metered/throws']) {
        await get(path)
        await expect.poll(used).toBe(1)
      }
      await get('/all-billed').expect(500)
      expect(await used()).toBe(2)
      expect(await billing.verify()).toMatchObject({ ok: true })
      expect(logger.entries).toEqual([])
    })

    it('a hard limit is exact while requests run side by side', async () => {
      const { get, used } = as()
      let open = () => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      const asked = Array.from({ length: 15 }, () => get('/metered/200').then((response) => response.status))
      try {
        await expect.poll(used).toBe(10)
      } finally {
        open()
      }
      const statuses = await Promise.all(asked)
      expect(statuses.filter((status) => status === 200)).toHaveLength(10)
      expect(statuses.filter((status) => status === 429)).toHaveLength(5)
    })

    it('weighs requests, and counts those of one job once', async () => {
      const { get, used } = as()
      const weighed = (units: string, headers = {}) => get('/weighed', { 'x-units': units, ...headers })
      await weighed('4', { 'x-job': 'j1' }).expect(200)
      // Sent again it was paid for already, and a failure takes nothing of that back.
      await weighed('4', { 'x-job': 'j1', 'x-status': '500' }).expect(500)
      await weighed('4', { 'x-job': 'j1' }).expect(200)
      expect(await used()).toBe(4)
      // A failed job is taken back, so that its retry counts.
      await weighed('2', { 'x-job': 'j2', 'x-status': '503' }).expect(503)
      await expect.poll(used).toBe(4)
      await weighed('2', { 'x-job': 'j2' }).expect(200)
      expect(await used()).toBe(6)
      await weighed('0').expect(422)
      await weighed('7').expect(429)
    })

    it('a caller that hangs up early pays: its work was done', async () => {
      const { tenant, used } = as()
      let open = () => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      const { hostname, port, pathname } = new URL(`${server.url}/metered/200`)
      const asked = get({ hostname, port, path: pathname, headers: { 'x-tenant': tenant } })
      const hungUp = once(asked, 'error')
      try {
        await expect.poll(used).toBe(1)
        asked.destroy(new Error('enough'))
        await hungUp
        await expect.poll(() => closed.has(tenant)).toBe(true)
      } finally {
        open()
      }
      // Memory takes one transaction after another: what the closing began is done after this one.
      await billing.customers.ensure({ tenantId: tenant })
      expect(await used()).toBe(1)
    })

    it('a client that sends one id with every request still pays for each', async () => {
      const { get, used } = as()
      const headers = { 'x-request-id': 'same', 'idempotency-key': 'same' }
      for (let i = 0; i < 3; i++) await get('/metered/200', headers).expect(200)
      expect(await used()).toBe(3)
    })

    it('a meter that refuses nothing sends no limits', async () => {
      const { get, tenant } = as()
      await billing.subscriptions.create({ tenantId: tenant }, { plan: 'pro' })
      const { headers } = await get('/metered/200').expect(200)
      expect(Object.keys(headers).filter((name) => name.startsWith('ratelimit'))).toEqual([])
    })

    it('requires features: 402, 403, 429 as the case asks', async () => {
      const { get, tenant } = as()
      expect((await get('/sso').expect(402)).body).toMatchObject({
        code: 'plan_required',
        feature: 'sso',
        reason: 'not_in_plan',
        plans: ['pro', 'scale'],
      })
      expect((await get('/moon').expect(403)).body).toMatchObject({ code: 'feature_unavailable' })
      await get('/requests').expect(200)
      await billing.usage.record({ tenantId: tenant, meter: 'requests', quantity: 10 })
      expect((await get('/requests').expect(429)).body).toMatchObject({ code: 'quota_exceeded' })
      await get('/projects', { 'x-units': '1' }).expect(200)
      expect((await get('/projects', { 'x-units': '2' }).expect(402)).body).toMatchObject({ reason: 'limit_reached' })
      await billing.subscriptions.create({ tenantId: tenant }, { plan: 'pro' })
      await get('/sso').expect(200)
      await get('/projects', { 'x-units': '20' }).expect(200)
      await request(server.url).get('/sso').expect(401)
    })
  })
}

it('is a set-up error without a context', () => {
  const { billing } = billingOn(memoryStorage())
  const none = {} as { context: typeof inExpress }
  expect(() => onExpress.requireFeature(billing, 'sso', none)).toThrow(/context/)
  expect(() => onExpress.meterUsage(billing, 'requests', none)).toThrow(/context/)
  expect(() => onExpress.billingRouter(billing, none)).toThrow(/context/)
})
