/** The host's own requests as events: told after the response, together, and never in its way. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import KoaRouter from '@koa/router'
import { fakeClock, recordingLogger } from '@org/core/testing'
import { createWebhooks, memoryStorage } from '@org/webhooks'
import * as forExpress from '@org/webhooks/express'
import * as forKoa from '@org/webhooks/koa'
import express from 'express'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { receiver } from './receiver.js'
import { world } from './world.js'

interface Told {
  tenantId: string
  type: string
  data: Record<string, unknown>
}

type Options = Partial<Omit<forExpress.RequestEventsOptions<never>, 'tenant'>> & {
  tenant?: (header: (name: string) => string | undefined) => unknown
}

/** An app with a route that answers what it is asked for, behind the middleware. */
interface Hosted {
  listener: RequestListener
  flush(): Promise<void>
}

const frameworks: Record<string, (publisher: forExpress.RequestEventsPublisher, options: Options) => Hosted> = {
  express(publisher, { tenant, ...options }) {
    const events = forExpress.requestEvents(publisher, {
      ...options,
      tenant: (req) => (tenant ? tenant((name) => req.get(name)) : req.get('x-tenant')) as string,
    })
    const app = express()
    app.use(events)
    app.get('/things/:id', (req, res) => void res.status(Number(req.query.status ?? 200)).end('ok'))
    app.get('/hang', () => {})
    return { listener: app, flush: events.flush }
  },
  koa(publisher, { tenant, ...options }) {
    const events = forKoa.requestEvents(publisher, {
      ...options,
      tenant: (ctx) => (tenant ? tenant((name) => ctx.get(name) || undefined) : ctx.get('x-tenant') || null) as string,
    })
    const router = new KoaRouter()
    router.get('/things/:id', (ctx) => {
      ctx.status = Number(ctx.query.status ?? 200)
      ctx.body = 'ok'
    })
    router.get('/hang', () => new Promise(() => {}))
    const app = new Koa()
    app.use(events).use(router.routes())
    return { listener: app.callback(), flush: events.flush }
  },
}

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function recording() {
  const batches: Told[][] = []
  const publishBatch = async (messages: readonly unknown[]) => void batches.push(messages as Told[])
  return { batches, publishBatch, told: () => batches.flat() }
}

for (const [name, make] of Object.entries(frameworks)) {
  describe(`request events on ${name}`, () => {
    const get = (url: string, headers: Record<string, string> = { 'x-tenant': 't1' }) => fetch(url, { headers })
    const settled = async (hosted: Hosted, told: () => unknown[], count: number) => {
      await expect
        .poll(async () => {
          await hosted.flush()
          return told().length
        })
        .toBe(count)
    }

    it('tell how a request went: by its route, without its query', async () => {
      const { publishBatch, told } = recording()
      const hosted = make({ publishBatch }, { clock: fakeClock() })
      const url = await listen(hosted.listener)
      expect(await (await get(`${url}/things/7?token=s3cret`, { 'x-tenant': 't1', 'x-request-id': 'r1' })).text()).toBe(
        'ok',
      )
      await get(`${url}/things/8?status=503`)
      await get(`${url}/nowhere?token=s3cret`)
      await settled(hosted, told, 3)
      const found = (path: string, status: number) =>
        told().find(({ data }) => data.path === path && data.status === status)
      expect(found('/things/:id', 200)).toEqual({
        tenantId: 't1',
        type: 'request.completed',
        data: { requestId: 'r1', method: 'GET', path: '/things/:id', status: 200, durationMs: 0 },
      })
      expect(found('/things/:id', 503)?.type).toBe('request.failed')
      expect(found('/nowhere', 404)?.type).toBe('request.completed')
      expect(JSON.stringify(told())).not.toContain('s3cret')
    })

    it('tell of a connection that closed before the answer', async () => {
      const { publishBatch, told } = recording()
      const hosted = make({ publishBatch }, {})
      const url = await listen(hosted.listener)
      const controller = new AbortController()
      const asked = fetch(`${url}/hang`, { headers: { 'x-tenant': 't1' }, signal: controller.signal })
      await new Promise((resolve) => setTimeout(resolve, 30))
      controller.abort()
      await asked.catch(() => {})
      await settled(hosted, told, 1)
      expect(told()[0]).toMatchObject({ type: 'request.failed', data: { error: 'connection_closed' } })
      expect(told()[0]?.data).not.toHaveProperty('status')
    })

    it('are told to nobody without a tenant, or with one that is none', async () => {
      const { publishBatch, told } = recording()
      const tenant = (header: (name: string) => string | undefined) => {
        if (header('x-throw')) throw new Error('no session')
        return header('x-tenant') ? { tenantId: header('x-tenant') ?? '', keyId: 'key_1' } : null
      }
      const hosted = make({ publishBatch }, { tenant })
      const url = await listen(hosted.listener)
      for (const headers of [{}, { 'x-throw': '1' }, { 'x-tenant': 'x'.repeat(200) }, { 'x-tenant': 't2' }] as const) {
        expect((await get(`${url}/things/1`, headers)).status).toBe(200)
      }
      await settled(hosted, told, 1)
      expect(told()[0]).toMatchObject({ tenantId: 't2', data: { keyId: 'key_1' } })
    })

    it('are sampled, but for failures', async () => {
      const { publishBatch, told } = recording()
      const draws = [0.1, 0.5, 0.9, 0.9]
      const random = { number: () => draws.shift() ?? 0, bytes: (size: number) => new Uint8Array(size) }
      const hosted = make({ publishBatch }, { sampleRate: 0.5, random })
      const url = await listen(hosted.listener)
      for (const status of [200, 201, 202, 500]) await get(`${url}/things/1?status=${status}`)
      await settled(hosted, told, 2)
      expect(told().map(({ data }) => data.status)).toEqual([200, 500])
    })

    it('also tell that a request was made, if asked', async () => {
      const { publishBatch, told } = recording()
      const hosted = make({ publishBatch }, { types: ['request.created', 'request.failed'] })
      const url = await listen(hosted.listener)
      await get(`${url}/things/1`)
      await settled(hosted, told, 1)
      expect(told()).toEqual([
        { tenantId: 't1', type: 'request.created', data: { method: 'GET', path: '/things/:id' } },
      ])
    })

    it('never fail or hold up a response while the database does', async () => {
      const logger = recordingLogger()
      let release = () => {}
      const hanging = new Promise<void>((resolve) => {
        release = resolve
      })
      let calls = 0
      const publishBatch = () => {
        calls++
        return calls === 1 ? hanging : Promise.reject(new Error('the database is down'))
      }
      const limits = { batchSize: 2, maxQueued: 3, clock: fakeClock(), logger }
      const hosted = make({ publishBatch }, limits)
      const url = await listen(hosted.listener)
      for (let n = 0; n < 10; n++) expect((await get(`${url}/things/1`)).status).toBe(200)
      await expect.poll(() => logger.entries.length).toBe(1)
      release()
      await hosted.flush()
      expect(calls).toBeGreaterThan(1)
      // Said once a minute at the most.
      expect(logger.entries.map(({ message }) => message)).toEqual(['Request events were dropped'])
    })

    it('become webhooks', async () => {
      const target = await receiver()
      const { webhooks } = world()
      await webhooks.endpoints.create({ tenantId: 't1' }, { url: target.url, eventTypes: ['request.*'] })
      const hosted = make(webhooks, {})
      const url = await listen(hosted.listener)
      await get(`${url}/things/1`)
      await expect
        .poll(async () => {
          await hosted.flush()
          await webhooks.drain()
          return target.received.length
        })
        .toBe(1)
      expect(JSON.parse(target.received[0]?.body ?? '')).toMatchObject({
        type: 'request.completed',
        data: { status: 200 },
      })
    })

    it('refuse options that are none', () => {
      const webhooks = createWebhooks({ storage: memoryStorage() })
      for (const bad of [{ sampleRate: 2 }, { batchSize: 0 }, { types: ['key.created'] }, { flushMs: 0.5 }]) {
        expect(() => make(webhooks, bad as Options)).toThrow(/not valid/)
      }
    })
  })
}
