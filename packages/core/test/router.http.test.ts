import { contextOf, type RequestContext, type Tx } from '@org/core'
import { expressGuard, expressRouter } from '@org/core/express'
import { koaGuard, koaRouter } from '@org/core/koa'
import { type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import Express from 'express'
import Koa from 'koa'
import request from 'supertest'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { notesModule } from './notes-module.js'

const can = (...allowed: string[]) => ({
  can: (action: string, subject: string | object) => allowed.includes(`${String(subject)}:${action}`),
})

/** The host's own transaction, for a host that opens one for each request. */
let hostTransaction: Tx | undefined

/** `x-user: anna` may do everything, `x-user: rita` may read, `x-user: broken` has a context without an ability. */
function context({ headers }: { headers: Record<string, unknown> }): RequestContext | null {
  const user = headers['x-user']
  if (typeof user !== 'string') return null
  const tenantId = typeof headers['x-tenant'] === 'string' ? headers['x-tenant'] : 'acme'
  const actor = { type: 'user' as const, id: user }
  if (user === 'broken') return { tenantId, actor } as RequestContext
  return {
    tenantId,
    actor,
    tx: hostTransaction,
    ability: user === 'anna' ? can('notes:read', 'notes:create', 'notes:delete') : can('notes:read'),
  }
}

for (const target of httpTargets()) {
  describe(target.name, () => {
    const parser = target.name.includes('with a body parser')
    const logger = recordingLogger()
    const module = notesModule(logger)
    const options = { context, trustedOrigins: ['https://friend.example'] }
    let server: HttpServer
    let http: ReturnType<typeof request>

    beforeAll(async () => {
      server = await target.listen(
        mounted(module, { express: () => expressRouter(module, options), koa: () => koaRouter(module, options) }),
      )
      http = request(server.url)
    })
    afterAll(() => server.close())
    beforeEach(() => {
      logger.entries.length = 0
      module.notes.length = 0
    })

    const create = (text: unknown, headers: Record<string, string> = {}) =>
      http
        .post('/notes')
        .set({ 'x-user': 'anna', ...headers })
        .send({ text } as object)

    it('creates, lists by page and deletes', async () => {
      for (const text of ['one', 'two', 'three']) await create(text).expect(201)
      const first = await http.get('/notes?limit=2').set('x-user', 'rita').expect(200)
      expect(first.body.data.map((note: { text: string }) => note.text)).toEqual(['one', 'two'])
      const second = await http.get(`/notes?limit=2&cursor=${first.body.next}`).set('x-user', 'rita').expect(200)
      expect(second.body).toMatchObject({ data: [{ text: 'three' }], next: null })
      const deleted = await http.delete(`/notes/${first.body.data[0].id}`).set('x-user', 'anna').expect(204)
      expect(deleted.text).toBe('')
      expect(module.notes).toHaveLength(2)
    })

    it('lets only declared fields out, and times as RFC 3339', async () => {
      const { body, headers } = await create('hello').expect(201)
      expect(body).toEqual({
        id: expect.stringMatching(/^note_[0-9a-z]{26}$/),
        text: 'hello',
        createdAt: '2026-01-01T00:00:00.000Z',
      })
      expect(headers['cache-control']).toBe('no-store')
    })

    it('answers 401 without an identity and 403 without the right, as problem documents', async () => {
      const anonymous = await http.get('/notes').expect(401)
      expect(anonymous.headers['content-type']).toBe('application/problem+json')
      expect(anonymous.body).toMatchObject({ status: 401, code: 'unauthenticated', title: expect.any(String) })
      const refused = await create('x', { 'x-user': 'rita' }).expect(403)
      expect(refused.body).toMatchObject({ code: 'forbidden', action: 'create', resource: 'notes' })
      expect(module.notes).toHaveLength(0)
    })

    it('refuses a context without an ability, and says so to the developer', async () => {
      const { body } = await http.get('/notes').set('x-user', 'broken').expect(500)
      expect(body).toMatchObject({ code: 'setup_error', detail: expect.stringContaining('ability') })
    })

    it("answers 404 for another tenant's id", async () => {
      const { body } = await create('mine').expect(201)
      await http.delete(`/notes/${body.id}`).set({ 'x-user': 'anna', 'x-tenant': 'other' }).expect(404)
      expect(module.notes).toHaveLength(1)
    })

    it('names each wrong field with a JSON pointer', async () => {
      const { body } = await http.post('/notes').set('x-user', 'anna').send({ text: 7, colour: 'red' }).expect(422)
      expect(body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual(['/colour', '/text'])
      const query = await http.get('/notes?limit=0&colour=red').set('x-user', 'anna').expect(422)
      expect(query.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual(['/colour', '/limit'])
      const cursor = await http.get('/notes?cursor=nonsense').set('x-user', 'anna').expect(422)
      expect(cursor.body.errors[0].pointer).toBe('/cursor')
    })

    it('answers 400 for broken JSON, 415 for another type, 413 for too much', async () => {
      const post = () => http.post('/notes').set('x-user', 'anna')
      await post().set('content-type', 'application/json').send('{"text":').expect(400)
      await post().type('form').send('text=hello').expect(415)
      await post().set('content-type', 'text/plain').send('{"text":"hello"}').expect(415)
      await post()
        .send({ text: 'x'.repeat(2_000_000) })
        .expect(413)
      expect(module.notes).toHaveLength(0)
    })

    if (!parser)
      it('refuses __proto__ and bytes that are not UTF-8', async () => {
        const post = () => http.post('/notes').set({ 'x-user': 'anna', 'content-type': 'application/json' })
        await post().send('{"__proto__":{"text":"x"}}').expect(400)
        const invalid = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
        await post()
          .serialize((body) => body)
          .send(invalid as unknown as string)
          .expect(400)
      })

    it('refuses what another site made the browser send, and lets through what it did not', async () => {
      const refused = { origin: 'https://evil.example' }
      await create('x', refused).expect(403)
      await create('x', { ...refused, 'sec-fetch-site': 'cross-site' }).expect(403)
      await create('x', { 'sec-fetch-site': 'same-site' }).expect(403)
      await create('x', { origin: new URL(server.url).origin }).expect(201)
      await create('x', { origin: 'https://proxy.example', 'sec-fetch-site': 'same-origin' }).expect(201)
      await create('x', { origin: 'https://friend.example', 'sec-fetch-site': 'cross-site' }).expect(201)
      await create('x', { ...refused, authorization: 'Bearer token' }).expect(201)
      await http
        .get('/notes')
        .set({ 'x-user': 'anna', ...refused })
        .expect(200)
    })

    it('creates once for an Idempotency-Key and answers the same again', async () => {
      const key = { 'idempotency-key': 'k1' }
      const twins = await Promise.all([create('once', key), create('once', key), create('once', key)])
      expect(twins.map((twin) => twin.status)).toEqual([201, 201, 201])
      expect(new Set(twins.map((twin) => twin.body.id)).size).toBe(1)
      expect(twins.filter((twin) => twin.headers['idempotency-replayed'] === 'true')).toHaveLength(2)
      expect(module.notes).toHaveLength(1)
      const conflict = await create('another', key).expect(409)
      expect(conflict.body.code).toBe('idempotency_conflict')
      await create('once', { ...key, 'x-tenant': 'other' }).expect(201)
      expect(module.notes).toHaveLength(2)
    })

    it('forgets an Idempotency-Key whose request failed', async () => {
      await create('', { 'idempotency-key': 'k2' }).expect(422)
      await create('fine', { 'idempotency-key': 'k2' }).expect(201)
    })

    it("keeps an Idempotency-Key only if the host's own transaction commits", async () => {
      const key = { 'idempotency-key': 'k3' }
      const rolledBack = module.database.transaction(async (tx) => {
        hostTransaction = tx
        await create('first', key).expect(201)
        throw new Error('the host changed its mind')
      })
      await expect(rolledBack).rejects.toThrow('changed its mind')
      hostTransaction = undefined
      await create('second', key).expect(201)
    })

    it('tells the handler who asked, and from where', async () => {
      const { body } = await http
        .get('/me')
        .set({ 'x-user': 'rita', 'user-agent': 'test', 'x-request-id': 'r1' })
        .expect(200)
      expect(body).toEqual({ id: 'rita', ip: expect.stringContaining('127.0.0.1'), userAgent: 'test', requestId: 'r1' })
    })

    it('hands a raw route the very bytes, or says how to set it up', async () => {
      const bytes = '{ "b":1,  "a":2 }'
      const response = await http.post('/hook').set('content-type', 'application/json').send(bytes)
      // Koa's parser keeps the bytes by itself; Express's must be told to.
      if (parser && target.name.startsWith('express')) {
        expect(response.status).toBe(500)
        expect(response.body).toMatchObject({ code: 'setup_error', detail: expect.stringContaining('rawBody') })
      } else {
        expect(response.status).toBe(200)
        expect(response.body.bytes).toBe(bytes)
      }
    })

    it('shows nothing of an unexpected error, and logs it', async () => {
      const { text } = await http.get('/crash').set('x-user', 'rita').expect(500)
      expect(text).not.toContain('password')
      expect(logger.entries).toMatchObject([{ level: 'error', fields: { route: 'notes.crash' } }])
      await http.get('/lie').set('x-user', 'rita').expect(500)
    })
  })

  describe(`a guard on ${target.name}`, () => {
    const logger = recordingLogger()
    let server: HttpServer

    beforeAll(async () => {
      const guarded = { context, logger }
      const check = async ({ ability }: Pick<RequestContext, 'ability'>) => {
        if (!ability.can('create', 'notes')) throw new Error('the check itself broke')
        return { 'x-checked': 'yes' }
      }
      server = await target.listen({
        express: (app, prefix) =>
          void app.get(`${prefix}/guarded`, expressGuard(guarded, check), (req, res) => {
            res.json({ user: contextOf(req)?.actor.id })
          }),
        koa: (app, prefix) => {
          const guardMiddleware = koaGuard(guarded, check)
          app.use(async (ctx, next) => {
            if (ctx.path !== `${prefix}/guarded`) return next()
            await guardMiddleware(ctx, async () => {
              ctx.body = { user: contextOf(ctx)?.actor.id }
            })
          })
        },
      })
    })
    afterAll(() => server.close())

    it('passes, refuses and fails closed', async () => {
      const http = request(server.url)
      const passed = await http.get('/guarded').set('x-user', 'anna').expect(200)
      expect(passed.body).toEqual({ user: 'anna' })
      expect(passed.headers['x-checked']).toBe('yes')
      await http.get('/guarded').expect(401)
      await http.get('/guarded').set('x-user', 'rita').expect(500)
      expect(logger.entries).toHaveLength(1)
    })
  })
}

it('runs on the majors that this project of the test runner is named after', () => {
  // Express 5 has dropped app.del; Koa 3's `origin` is the header's, Koa 2's is the app's own.
  const express = 'del' in Express.application ? 4 : 5
  const request = Object.create(new Koa().request, {
    req: { value: { headers: { origin: 'theirs' } } },
    protocol: { value: 'http' },
    host: { value: 'ours' },
  })
  const koa = request.origin === 'theirs' ? 3 : 2
  expect(`express ${express}, koa ${koa}`).toBe(process.env.FRAMEWORKS)
})

describe('a router without a context', () => {
  it('is a set-up error in both frameworks', () => {
    const module = notesModule(recordingLogger())
    for (const make of [expressRouter, koaRouter]) {
      expect(() => make(module, {} as never)).toThrow(expect.objectContaining({ code: 'setup_error' }))
    }
  })
})
