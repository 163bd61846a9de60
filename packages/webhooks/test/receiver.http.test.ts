import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import { fakeClock, httpTargets, recordingLogger, testDatabases } from '@org/core/testing'
import { verifyWebhook, WebhookVerificationError } from '@org/webhooks/verify'
import express from 'express'
import type { Knex } from 'knex'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ReceivedWebhook, ReceiverOptions } from '../src/receiver/core.js'
import { receiverErrors } from '../src/receiver/errors.js'
import * as onExpress from '../src/receiver/express.js'
import * as onKoa from '../src/receiver/koa.js'
import { type ReplayCache, replayCache } from '../src/receiver/replay.js'
import { createSigningKey } from '../src/signing/keys.js'
import { createSigner } from '../src/signing/sign.js'

const { signatureHeaders } = createSigner()
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const { privateKey, publicKey } = createSigningKey({ bytes: (size) => new Uint8Array(size).fill(3) })
const databases = await testDatabases()
const clock = fakeClock()
const logger = recordingLogger()

interface KeyCreated {
  type: 'key.created'
  data: { keyId: string }
}
/** With spaces and escapes that no serializer would make again. */
const body = '{ "type":"key.created",  "data": {"keyId":"\\u00fc", "n": 1.0} }'

interface Signed {
  id?: string
  secrets?: string[]
  at?: number
  body?: string
}
const headersOf = ({ id = randomUUID(), secrets = [secret], at = clock.now(), body: text = body }: Signed = {}) => ({
  'content-type': 'application/json',
  ...signatureHeaders({ id, timestamp: Math.floor(at / 1000), body: text }, secrets),
})

async function post(url: string, headers: Record<string, string> = headersOf(), content = body) {
  const response = await fetch(`${url}/in`, { method: 'POST', headers, body: content, redirect: 'manual' })
  const text = await response.text()
  const problem = response.headers.get('content-type')?.startsWith('application/problem+json')
  return { status: response.status, headers: response.headers, code: problem ? JSON.parse(text).code : null, text }
}

/** Answers the status to respond with. `closed` is when the sender has hung up. */
type Handle = (webhook: ReceivedWebhook<KeyCreated>, closed: Promise<unknown>) => number | Promise<number>

/** The same receiver for both frameworks. */
function receiving(handle: Handle, options: Partial<ReceiverOptions> = {}) {
  const all: ReceiverOptions = { secrets: [secret, publicKey], clock, logger, ...options }
  return {
    express(app: express.Express, prefix = '') {
      app.post(`${prefix}/in`, onExpress.webhookReceiver<KeyCreated>(all), async (req, res, next) => {
        try {
          expect((req as { webhook?: unknown }).webhook).toBe(res.locals.webhook)
          const status = await handle(res.locals.webhook, once(res, 'close'))
          res.status(status).end()
        } catch (error) {
          next(error)
        }
      })
      app.use(((_error, _req, res, _next) => void res.status(500).end()) as express.ErrorRequestHandler)
    },
    koa(app: Koa, prefix = '') {
      const router = new Router()
      router.post(`${prefix}/in`, onKoa.webhookReceiver<KeyCreated>(all), async (ctx) => {
        const status = await handle(ctx.state.webhook, once(ctx.res, 'close'))
        ctx.body = null
        ctx.status = status
      })
      app.use(router.routes())
    },
  }
}

/** Keeps what it is called with. */
function answering(status: number) {
  const handled: unknown[] = []
  const handle: Handle = (webhook) => {
    handled.push(webhook)
    return status
  }
  return { handled, handle }
}

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function deferred() {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** express.json() throws the bytes away; @koa/bodyparser keeps them. */
const eatsBytes = ({ name }: { name: string }) => /^express.* with a body parser/.test(name)

for (const target of httpTargets().filter(eatsBytes)) {
  describe(`a receiver: ${target.name}`, () => {
    it('says how to keep the bytes, and verifies nothing that was serialized again', async () => {
      const { handled, handle } = answering(204)
      const server = await target.listen(receiving(handle))
      onTestFinished(() => server.close())
      const text = JSON.stringify(JSON.parse(body))
      const answer = await post(server.url, headersOf({ body: text }), text)
      expect([answer.status, answer.code, handled]).toEqual([500, 'setup_error', []])
      expect(answer.text).toContain('Mount the route before the parser')
      expect(answer.text).toContain('rawBody')
      expect(logger.entries.at(-1)).toMatchObject({ level: 'error', fields: { code: 'setup_error' } })
    })
  })
}

for (const target of httpTargets().filter((one) => !eatsBytes(one))) {
  describe(`a receiver: ${target.name}`, () => {
    async function start(handle: Handle, options?: Partial<ReceiverOptions>) {
      const server = await target.listen(receiving(handle, options))
      onTestFinished(() => server.close())
      return server.url
    }

    it('lets a verified webhook pass, by HMAC and by Ed25519', async () => {
      const { handled, handle } = answering(204)
      const url = await start(handle)
      const expected = (id: string) => ({
        id,
        timestamp: Math.floor(clock.now() / 1000),
        type: 'key.created',
        payload: JSON.parse(body),
      })
      expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(204)
      expect((await post(url, headersOf({ id: 'msg_2', secrets: [privateKey] }))).status).toBe(204)
      expect(handled).toEqual([expected('msg_1'), expected('msg_2')])
    })

    it('lets one without a type pass', async () => {
      const { handled, handle } = answering(204)
      const url = await start(handle)
      for (const text of ['[]', '{"type":1}']) {
        expect((await post(url, headersOf({ body: text }), text)).status).toBe(204)
      }
      expect(handled).toEqual([
        { id: expect.any(String), timestamp: expect.any(Number), payload: [] },
        { id: expect.any(String), timestamp: expect.any(Number), payload: { type: 1 } },
      ])
    })

    it('refuses what is not signed, not recent or not intact, and never calls the handler', async () => {
      const { handled, handle } = answering(204)
      const url = await start(handle)
      const without = (name: string) => Object.fromEntries(Object.entries(headersOf()).filter(([key]) => key !== name))
      for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
        expect(await post(url, without(name))).toMatchObject({ status: 400, code: 'missing_header' })
      }
      const refused = async (headers: Record<string, string>, status: number, code: string, text = body) =>
        expect(await post(url, { ...headersOf({ body: text }), ...headers }, text)).toMatchObject({ status, code })
      await refused({ 'webhook-id': 'another' }, 401, 'signature_mismatch')
      await refused({ 'webhook-signature': 'v1,AAAA' }, 401, 'signature_mismatch')
      await refused({ 'webhook-timestamp': 'now' }, 400, 'malformed_header')
      await refused(headersOf({ at: clock.now() - 301_000 }), 400, 'timestamp_too_old')
      await refused(headersOf({ at: clock.now() + 301_000 }), 400, 'timestamp_too_new')
      // A parser of the host's refuses that itself.
      if (!target.name.endsWith('with a body parser')) await refused({}, 400, 'malformed_payload', 'not json')
      expect(await post(url, headersOf(), `${body} `)).toMatchObject({ status: 401, code: 'signature_mismatch' })
      expect(handled).toEqual([])
    })

    it('reads no more than it is allowed', async () => {
      const { handled, handle } = answering(204)
      const url = await start(handle, { maxBytes: 100 })
      const [fits, large] = [`["${'x'.repeat(96)}"]`, `["${'x'.repeat(97)}"]`]
      expect((await post(url, headersOf({ body: fits }), fits)).status).toBe(204)
      expect(await post(url, headersOf({ body: large }), large)).toMatchObject({
        status: 413,
        code: 'payload_too_large',
      })
      expect(handled.length).toBe(1)
    })

    it('handles each webhook once, whatever attempt brings it', async () => {
      const { handled, handle } = answering(201)
      const url = await start(handle)
      expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(201)
      clock.advance(3 * 24 * 60 * 60 * 1000)
      const again = await post(url, headersOf({ id: 'msg_1' }))
      expect([again.status, again.text, handled.length]).toEqual([204, '', 1])
      expect((await post(url, headersOf({ id: 'msg_2' }))).status).toBe(201)
      expect(handled.length).toBe(2)
    })

    it('handles it again when the handler did not answer 2xx, or threw', async () => {
      const answers = [500, 404, 302, 'throw', 200]
      const left = [...answers]
      const url = await start(() => {
        const answer = left.shift()
        if (typeof answer !== 'number') throw new Error('no')
        return answer
      })
      const statuses: number[] = []
      for (const _ of answers) statuses.push((await post(url, headersOf({ id: 'msg_1' }))).status)
      expect(statuses).toEqual([500, 404, 302, 500, 200])
      expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(204)
      expect(left).toEqual([])
    })

    it('refuses a webhook while it is being handled', async () => {
      const [started, finish] = [deferred(), deferred()]
      let handled = 0
      const url = await start(async () => {
        handled++
        started.resolve()
        await finish.promise
        return 200
      })
      const first = post(url, headersOf({ id: 'msg_1' }))
      await started.promise
      const second = await post(url, headersOf({ id: 'msg_1' }))
      expect([second.status, second.code]).toEqual([409, 'webhook_in_progress'])
      expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0)
      finish.resolve()
      expect((await first).status).toBe(200)
      expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(204)
      expect(handled).toBe(1)
    })

    it.each([
      [200, 204],
      [503, 503],
    ])('waits for a handler whose sender hung up, and heeds its %i', async (status, next) => {
      const [started, hungUp, finish] = [deferred(), deferred(), deferred()]
      let handled = 0
      const url = await start(async (_, closed) => {
        if (handled++ > 0) return status
        started.resolve()
        await closed
        hungUp.resolve()
        await finish.promise
        return status
      })
      const sender = new AbortController()
      const init = { method: 'POST', headers: headersOf({ id: 'msg_1' }), body, signal: sender.signal }
      const first = fetch(`${url}/in`, init).catch((error: Error) => error.name)
      await started.promise
      sender.abort()
      expect(await first).toBe('AbortError')
      await hungUp.promise
      expect((await post(url, headersOf({ id: 'msg_1' }))).code).toBe('webhook_in_progress')
      finish.resolve()
      expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(next)
    })

    it('leaves it to the host when told to', async () => {
      const { handled, handle } = answering(200)
      const url = await start(handle, { replay: false })
      for (const _ of [1, 2]) expect((await post(url, headersOf({ id: 'msg_1' }))).status).toBe(200)
      expect(handled.length).toBe(2)
    })

    it('handles nothing when the cache of the host fails, and loses nothing when it fails later', async () => {
      const { handled, handle } = answering(200)
      const failing = (part: keyof ReplayCache): ReplayCache => {
        const calls = { claim: async () => 'claimed' as const, complete: async () => {}, release: async () => {} }
        return { ...calls, [part]: async () => Promise.reject(new Error('Redis is gone')) }
      }
      const before = await start(handle, { replay: failing('claim') })
      expect(await post(before)).toMatchObject({ status: 500, code: 'internal_error' })
      expect(handled).toEqual([])
      const after = await start(handle, { replay: failing('complete') })
      const noted = logger.entries.length
      expect((await post(after, headersOf({ id: 'msg_7' }))).status).toBe(200)
      await expect.poll(() => logger.entries.slice(noted)).toMatchObject([{ fields: { webhookId: 'msg_7' } }])
    })

    it('answers problem documents, and never the secret', async () => {
      const url = await start(() => 200)
      const { headers, text } = await post(url, { ...headersOf(), 'webhook-signature': 'v1,' })
      expect(headers.get('content-type')).toBe('application/problem+json')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(JSON.parse(text)).toMatchObject({ status: 401, type: 'urn:problem:webhooks:signature_mismatch' })
      expect(text).not.toContain(secret.slice(6))
    })
  })
}

describe('parsers of the host’s', () => {
  const signed = () => headersOf({ id: randomUUID() })
  const handled = receiving((webhook) => (webhook.payload.data.keyId === 'ü' ? 204 : 500))

  it.each<[string, express.RequestHandler]>([
    ['express.raw()', express.raw({ type: 'application/json' })],
    ['express.text()', express.text({ type: 'application/json' })],
    ['express.json() that keeps the bytes', keepingJson()],
  ])('%s will do', async (_, parser) => {
    const app = express().use(parser)
    handled.express(app)
    const url = await listen(app)
    expect((await post(url, signed())).status).toBe(204)
    expect((await post(url, signed(), body.replace('  ', ' '))).status).toBe(401)
  })

  it('have limits of their own, and ours holds next to them', async () => {
    const app = express().use(express.raw({ type: '*/*' }))
    receiving(() => 204, { maxBytes: 10 }).express(app)
    expect(await post(await listen(app))).toMatchObject({ status: 413, code: 'payload_too_large' })
  })

  it('that keep nothing on Koa are told of', async () => {
    const app = new Koa().use(async (ctx, next) => {
      const chunks: Buffer[] = []
      for await (const chunk of ctx.req) chunks.push(chunk as Buffer)
      Object.assign(ctx.request, { body: JSON.parse(Buffer.concat(chunks).toString()) })
      await next()
    })
    handled.koa(app)
    expect(await post(await listen(app.callback()))).toMatchObject({ status: 500, code: 'setup_error' })
  })
})

describe('a receiver that cannot work', () => {
  it.each<[string, Partial<ReceiverOptions>]>([
    ['without a secret', { secrets: [] }],
    ['with an empty one', { secrets: 'whsec_' }],
    ['with a private key', { secrets: privateKey }],
    ['without a tolerance', { tolerance: Number.POSITIVE_INFINITY }],
    ['without a limit', { maxBytes: Number.NaN }],
  ])('is not made: %s', (_, options) => {
    for (const { webhookReceiver } of [onExpress, onKoa]) {
      expect(() => webhookReceiver({ secrets: secret, ...options })).toThrow(
        expect.objectContaining({ code: 'setup_error', message: expect.not.stringContaining(privateKey.slice(5)) }),
      )
    }
  })
})

describe('the replay cache', () => {
  it('tells what is being handled from what was, and forgets in time', () => {
    const time = fakeClock()
    const cache = replayCache({ clock: time, ttlMs: 1_000, leaseMs: 100 })
    expect([cache.claim('a'), cache.claim('a'), cache.claim('b')]).toEqual(['claimed', 'in_progress', 'claimed'])
    cache.complete('a')
    cache.release('b')
    expect([cache.claim('a'), cache.claim('b')]).toEqual(['handled', 'claimed'])
    time.advance(99)
    expect(cache.claim('b')).toBe('in_progress')
    time.advance(1)
    expect(cache.claim('b')).toBe('claimed') // the handler of before never ended
    cache.complete('b')
    cache.release('b') // and now it does
    expect(cache.claim('b')).toBe('handled')
    time.advance(899)
    expect(cache.claim('a')).toBe('handled')
    time.advance(1)
    expect(cache.claim('a')).toBe('claimed')
  })

  it('remembers for five days, and so many', () => {
    const time = fakeClock()
    const cache = replayCache({ clock: time })
    cache.complete('a')
    time.advance(5 * 24 * 60 * 60 * 1000 - 1)
    expect(cache.claim('a')).toBe('handled')
    const small = replayCache({ clock: time, capacity: 2 })
    for (const id of ['a', 'b']) small.complete(id)
    expect(small.claim('a')).toBe('handled')
    small.complete('c')
    expect([small.claim('a'), small.claim('c'), small.claim('b')]).toEqual(['handled', 'handled', 'claimed'])
  })

  it.each([{ capacity: 0 }, { ttlMs: Number.NaN }, { leaseMs: -1 }])('is not made with %j', (options) => {
    expect(() => replayCache(options)).toThrow(expect.objectContaining({ code: 'setup_error' }))
  })
})

describe('the guide', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const guide = read('../../../docs/webhooks/receiving.md')
  const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()
  const ids: string[] = []
  const handle = async (keyId: string, id: string) => void ids.push(`${keyId} ${id}`)
  const secrets = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const fresh = (id: string) => headersOf({ id, at: Date.now() })

  it('shows code that is run', () => {
    const source = flat(read('./receiver.http.test.ts'))
    const blocks = [...guide.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = '']) => flat(block))
    expect(blocks.length).toBe(6)
    for (const block of blocks) expect(source.includes(block), `not in this file:\n${block}`).toBe(true)
  })

  it('lists every code', () => {
    for (const { code, status } of Object.values(receiverErrors)) {
      expect(guide.split('\n').some((line) => line.includes(`\`${code}\``) && line.includes(`| ${status} |`))).toBe(
        true,
      )
    }
  })

  it('is right about Express', async () => {
    const { webhookReceiver } = onExpress
    const app = express()
    app.post('/in', webhookReceiver<KeyCreated>({ secrets }), async (_req, res) => {
      const { id, payload } = res.locals.webhook
      await handle(payload.data.keyId, id)
      res.sendStatus(204)
    })
    const url = await listen(app)
    for (const _ of [1, 2]) expect((await post(url, fresh('msg_e'))).status).toBe(204)
    expect(ids.filter((id) => id === 'ü msg_e')).toEqual(['ü msg_e'])
  })

  it('is right about Koa', async () => {
    const { webhookReceiver } = onKoa
    const router = new Router()
    router.post('/in', webhookReceiver<KeyCreated>({ secrets }), async (ctx) => {
      const { id, payload } = ctx.state.webhook
      await handle(payload.data.keyId, id)
      ctx.status = 204
    })
    const url = await listen(new Koa().use(router.routes()).callback())
    for (const _ of [1, 2]) expect((await post(url, fresh('msg_k'))).status).toBe(204)
    expect(ids.filter((id) => id === 'ü msg_k')).toEqual(['ü msg_k'])
  })

  it('is right about plain Node.js', async () => {
    async function receive(headers: Record<string, string>, rawBody: string) {
      try {
        const event = verifyWebhook<KeyCreated>(secrets, headers, rawBody)
        await handle(event.data.keyId, String(headers['webhook-id']))
        return 204
      } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error
        return 400 // and error.code says why
      }
    }
    expect([await receive(fresh('msg_n'), body), await receive(fresh('msg_n'), '{}')]).toEqual([204, 400])
    expect(ids).toContain('ü msg_n')
  })

  for (const target of databases) {
    it.skipIf(target.missing)(`is right about the host's own tables on ${target.name}`, async () => {
      const { knex, close } = await target.open()
      onTestFinished(() => close())
      await knex.schema.createTable('keys', (table) => {
        table.string('webhook_id').primary()
        table.string('key_id')
      })
      await knex.schema.createTable('received_webhooks', (table) => {
        table.string('id').primary()
        table.string('token')
        table.boolean('handled')
        table.bigint('until')
      })
      const { webhookReceiver } = onExpress
      const app = express()
      app.post('/in', webhookReceiver<KeyCreated>({ secrets, replay: false }), async (_req, res) => {
        const { id, payload } = res.locals.webhook
        await knex('keys').insert({ webhook_id: id, key_id: payload.data.keyId }).onConflict('webhook_id').ignore()
        res.sendStatus(204)
      })
      const url = await listen(app)
      for (const _ of [1, 2]) expect((await post(url, fresh('msg_t'))).status).toBe(204)
      expect(await knex('keys').select()).toEqual([{ webhook_id: 'msg_t', key_id: 'ü' }])

      const cache = tableOfWebhooks(knex)
      const claims = await Promise.all(Array.from({ length: 8 }, () => cache.claim('a')))
      expect(claims.sort()).toEqual(['claimed', ...Array(7).fill('in_progress')])
      await cache.release('a')
      expect(await cache.claim('a')).toBe('claimed')
      await cache.complete('a')
      await cache.release('a')
      expect(await cache.claim('a')).toBe('handled')
      await knex('received_webhooks').update({ until: 0 })
      expect(await cache.claim('a')).toBe('claimed')
    })
  }
})

function keepingJson(): express.RequestHandler {
  const app = express()
  app.use(express.json({ verify: (req, _res, bytes) => Object.assign(req, { rawBody: bytes }) }))
  return app
}

function tableOfWebhooks(knex: Knex): ReplayCache {
  const minute = 60_000
  const day = 24 * 60 * minute
  const rows = () => knex('received_webhooks')
  return {
    async claim(id) {
      const now = Date.now()
      const token = randomUUID()
      await rows().where('until', '<=', now).delete()
      await rows()
        .insert({ id, token, handled: false, until: now + 2 * minute })
        .onConflict('id')
        .ignore()
      const row = await rows().where({ id }).first()
      if (row?.token === token) return 'claimed'
      return row?.handled ? 'handled' : 'in_progress'
    },
    complete: (id) =>
      rows()
        .where({ id })
        .update({ handled: true, until: Date.now() + 5 * day }),
    release: (id) => rows().where({ id, handled: false }).delete(),
  }
}
