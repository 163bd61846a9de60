/** Keys over HTTP: the routes that manage them, and requests that carry one. */
import Router from '@koa/router'
import { contextOf, type DomainEvent, openapi } from '@org/core'
import { type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import {
  apiKeyOf,
  createRbac,
  memoryStorage,
  type Permission,
  type PredefinedResources,
  type Rbac,
  rbacErrors,
} from '@org/rbac'
import { apiKeyAuth, rbacRouter, requirePermission } from '@org/rbac/express'
import {
  apiKeyAuth as apiKeyOnKoa,
  rbacRouter as koaRbacRouter,
  requirePermission as requireOnKoa,
} from '@org/rbac/koa'
import type { Request } from 'express'
import type { Context } from 'koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const logger = recordingLogger()
const tenantId = 'acme'

async function team(): Promise<{ rbac: Rbac; events: DomainEvent[] }> {
  const events: DomainEvent[] = []
  const rbac = createRbac({ storage: memoryStorage(), logger, events: (event) => void events.push(event) })
  const members = { olga: 'owner', adam: 'admin', dev: 'developer', bill: 'billing', rea: 'read_only' }
  for (const [userId, role] of Object.entries(members)) await rbac.assignments.assign({ tenantId }, { userId, role })
  await rbac.assignments.assign({ tenantId: 'globex' }, { userId: 'gus', role: 'owner' })
  return { rbac, events }
}

/** A host whose routes take a session or a key. */
function contextOn<Q>(rbac: Rbac, headersOf: (request: Q) => Request['headers']) {
  return rbac.context((request: Q) => {
    const headers = headersOf(request)
    const apiKey = apiKeyOf(headers)
    if (apiKey !== undefined) return { apiKey }
    const userId = headers['x-user'] as string | undefined
    return userId ? { userId, tenantId: String(headers['x-tenant']) } : null
  })
}

for (const target of httpTargets()) {
  describe(`key routes on ${target.name}`, () => {
    let rbac: Rbac
    let server: HttpServer
    const ask = client(() => server.url)
    const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } })

    beforeEach(async () => {
      rbac = (await team()).rbac
      const routers = {
        express: () => rbacRouter(rbac, { context: contextOn(rbac, (req: Request) => req.headers) }),
        koa: () => koaRbacRouter(rbac, { context: contextOn(rbac, (ctx: Context) => ctx.headers) }),
      }
      const host = mounted(rbac.http, routers, { contextErrors: [rbacErrors.rate_limited] })
      server = await target.listen(host)
    })
    afterEach(() => server.close())

    it('make, show, change, rotate and revoke keys, and show the secret when it is made', async () => {
      const body = {
        ...{ name: 'CI', scopes: ['keys:read'], expiresAt: '2099-01-01T00:00:00Z', allowedIps: ['127.0.0.0/8'] },
        rateLimit: { limit: 1000, windowMs: 60_000 },
      }
      const made = await ask('dev', 'POST /keys', { body })
      expect(made.status).toBe(201)
      const { key, secret } = made.body
      expect(secret).toMatch(/^ak_[0-9A-Za-z]{36}$/)
      const shown = { ...body, expiresAt: '2099-01-01T00:00:00.000Z' }
      expect(key).toEqual({
        ...{ ...shown, id: key.id, start: secret.slice(0, 7), userId: 'dev', status: 'active' },
        ...{ lastUsedAt: null, revokedAt: null, createdAt: expect.stringMatching(/Z$/) },
      })
      const listed = await ask('rea', 'GET /keys?userId=dev')
      expect([listed.status, listed.body]).toEqual([200, { data: [key], next: null }])
      expect((await ask('rea', `GET /keys/${key.id}`)).body).toEqual(key)
      const renamed = await ask('dev', `PATCH /keys/${key.id}`, { body: { name: 'Build', expiresAt: null } })
      expect([renamed.status, renamed.body]).toEqual([200, { ...key, name: 'Build', expiresAt: null }])
      const rotated = await ask('dev', `POST /keys/${key.id}/rotate`, { body: { overlapMs: 0 } })
      expect(rotated.status).toBe(200)
      expect(rotated.body).toMatchObject({ key: { id: key.id, name: 'Build' } })
      expect((await ask(null, 'GET /me', bearer(secret))).status).toBe(401)
      expect((await ask(null, 'GET /me', bearer(rotated.body.secret))).status).toBe(200)
      const gone = await ask('dev', `DELETE /keys/${key.id}`)
      expect([gone.status, gone.body]).toEqual([204, undefined])
      expect((await ask(null, 'GET /me', bearer(rotated.body.secret))).status).toBe(401)
      expect((await ask('rea', `GET /keys/${key.id}`)).body).toMatchObject({ status: 'revoked' })
      const late = await ask('dev', `POST /keys/${key.id}/rotate`, { body: {} })
      expect([late.status, late.body.code]).toEqual([409, 'key_revoked'])
    })

    it('defect 1: the maker is who is signed in, never who the body names', async () => {
      const body = { name: 'CI', scopes: ['keys:read'] }
      for (const claim of [{ userId: 'olga' }, { actor: { type: 'user', id: 'olga' } }]) {
        expect((await ask(null, 'POST /keys', { body: { ...body, ...claim } })).status).toBe(401)
        expect((await ask('dev', 'POST /keys', { body: { ...body, ...claim } })).status).toBe(422)
      }
      expect((await ask('olga', 'GET /keys')).body.data).toEqual([])
    })

    it('defect 3: nobody makes a key that holds more than they do', async () => {
      const refused = await ask('dev', 'POST /keys', { body: { name: 'CI', scopes: ['keys:read', 'billing:read'] } })
      expect(refused.status).toBe(403)
      expect(refused.body).toMatchObject({ code: 'exceeds_own_rights', missing: ['billing:read'] })
      expect((await ask('bill', 'POST /keys', { body: { name: 'CI', scopes: ['billing:*'] } })).body).toMatchObject({
        ...{ code: 'forbidden', action: 'create', resource: 'keys' },
      })
      const empty = await ask('dev', 'POST /keys', { body: { name: 'CI', scopes: [] } })
      expect([empty.status, empty.body.errors[0].pointer]).toEqual([422, '/scopes'])
    })

    it('defect 2: another tenant’s key is not there', async () => {
      const { key } = await rbac.keys.create({ tenantId }, { name: 'CI', scopes: ['keys:read'] })
      for (const [request, body] of [
        ['GET /keys/:id', undefined],
        ['PATCH /keys/:id', { name: 'x' }],
        ['DELETE /keys/:id', undefined],
        ['POST /keys/:id/rotate', {}],
      ] as const) {
        const swapped = await ask('gus@globex', request.replace(':id', key.id), { body })
        expect([request, swapped.status, swapped.body.code]).toEqual([request, 404, 'not_found'])
      }
      expect((await ask('gus@globex', 'GET /keys')).body.data).toEqual([])
      expect(await rbac.keys.get({ tenantId }, key.id)).toEqual(key)
    })

    it('hand the keys of a member who is removed to another', async () => {
      const { body } = await ask('dev', 'POST /keys', { body: { name: 'CI', scopes: ['keys:read'] } })
      const gone = await ask('olga', 'DELETE /members/dev?keysTo=adam')
      expect(gone.status).toBe(204)
      expect((await ask('olga', `GET /keys/${body.key.id}`)).body).toMatchObject({ userId: 'adam', status: 'active' })
      const none = await ask('olga', 'DELETE /members/adam?keysTo=nobody')
      expect([none.status, none.body.code]).toEqual([404, 'not_found'])
      expect((await ask('olga', 'DELETE /members/adam')).status).toBe(204)
      expect((await ask(null, 'GET /me', bearer(body.secret))).status).toBe(401)
    })

    it('take what is no identity for nobody', async () => {
      // As JavaScript has it, for a header that is not there or is there twice.
      for (const identity of [undefined, null, false, '', 0, { apiKey: undefined }, { apiKey: ['a', 'b'] }]) {
        const found = rbac.context(() => identity as unknown as null)({ headers: {} })
        expect([identity, await found]).toEqual([identity, null])
      }
    })

    it('take a key where they take a session, with the rights of the key', async () => {
      const { key, secret } = await rbac.keys.create(
        { tenantId, actor: { type: 'user', id: 'olga' } },
        { name: 'CI', scopes: ['keys:*'], rateLimit: { limit: 5, windowMs: 60_000 } },
      )
      const me = await ask(null, 'GET /me', bearer(secret))
      expect(me.body).toEqual({
        ...{ tenantId, actor: { type: 'key', id: key.id }, roles: [] },
        permissions: ['keys:create', 'keys:delete', 'keys:read', 'keys:update'],
        rules: [['manage', 'keys']],
      })
      expect(me.headers.get('ratelimit-limit')).toBe('5')
      expect(me.headers.get('ratelimit-remaining')).toBe('4')
      expect(me.headers.get('ratelimit')).toMatch(/^"key";r=4;t=\d+$/)
      const forbidden = await ask(null, 'GET /members', { headers: { 'x-api-key': secret } })
      expect([forbidden.status, forbidden.body.code]).toEqual([403, 'forbidden'])
      expect(forbidden.headers.get('ratelimit-remaining')).toBe('3')
      // A key does not make keys, whatever it may do with them.
      const minted = await ask(null, 'POST /keys', { ...bearer(secret), body: { name: 'x', scopes: ['keys:read'] } })
      expect([minted.status, minted.body.code]).toEqual([403, 'forbidden'])
      const { data } = await rbac.audit.query({ tenantId }, { action: 'access.denied' })
      expect(data.map(({ actor }) => actor)).toEqual(Array(2).fill({ type: 'key', id: key.id }))
      await rbac.members.setRoles({ tenantId }, 'adam', { roles: ['owner'] })
      await rbac.members.suspend({ tenantId }, 'olga')
      expect((await ask(null, 'GET /me', bearer(secret))).body.permissions).toEqual([])
      await ask(null, 'GET /me', bearer(secret))
      const limited = await ask(null, 'GET /me', bearer(secret))
      expect([limited.status, limited.body.code]).toEqual([429, 'rate_limited'])
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(50)
      expect(limited.headers.get('ratelimit-remaining')).toBe('0')
    })
  })

  describe(`apiKeyAuth on ${target.name}`, () => {
    let rbac: Rbac
    let events: DomainEvent[]
    let server: HttpServer
    let proxied: boolean | 1
    let header: string | undefined
    const ask = client(() => server.url)
    const mint = (scopes: Permission<PredefinedResources>[] = ['keys:read'], more = {}) =>
      rbac.keys.create({ tenantId, actor: { type: 'user', id: 'olga' } }, { name: 'CI', scopes, ...more })

    const listen = () =>
      target.listen({
        express(app, prefix) {
          app.set('trust proxy', proxied)
          app.use(prefix || '/', apiKeyAuth(rbac, header === undefined ? {} : { header }))
          const context = (req: Request) => contextOf(req) ?? null
          app.get(`${prefix}/own`, (req, res) => void res.json({ actor: contextOf(req)?.actor }))
          app.get(`${prefix}/keys`, requirePermission(rbac, 'keys', 'read', { context }), (_req, res) => {
            res.json({ done: true })
          })
          // Asks anew, on the same request.
          const anew = contextOn(rbac, (req: Request) => req.headers)
          app.get(`${prefix}/twice`, requirePermission(rbac, 'keys', 'read', { context: anew }), (_req, res) => {
            res.json({ done: true })
          })
        },
        koa(app, prefix) {
          app.proxy = proxied !== false
          if (proxied === 1) app.maxIpsCount = 1
          app.use(apiKeyOnKoa(rbac, header === undefined ? {} : { header }))
          const router = new Router()
          const context = (ctx: Context) => contextOf(ctx) ?? null
          router.get(`${prefix}/own`, (ctx) => {
            ctx.body = { actor: contextOf(ctx)?.actor }
          })
          router.get(`${prefix}/keys`, requireOnKoa(rbac, 'keys', 'read', { context }), (ctx) => {
            ctx.body = { done: true }
          })
          const anew = contextOn(rbac, (ctx: Context) => ctx.headers)
          router.get(`${prefix}/twice`, requireOnKoa(rbac, 'keys', 'read', { context: anew }), (ctx) => {
            ctx.body = { done: true }
          })
          app.use(router.routes())
        },
      })

    beforeEach(async () => {
      logger.entries.length = 0
      ;({ rbac, events } = await team())
      proxied = false
      header = undefined
      server = await listen()
    })
    afterEach(() => server.close())

    it('lets a key pass in either header, and hands its context on', async () => {
      const { key, secret } = await mint()
      for (const headers of [{ authorization: `Bearer ${secret}` }, { 'x-api-key': secret }]) {
        const passed = await ask(null, 'GET /own', { headers })
        expect([passed.status, passed.body]).toEqual([200, { actor: { type: 'key', id: key.id } }])
        expect(passed.headers.get('ratelimit-limit')).toBeNull()
        expect((await ask(null, 'GET /keys', { headers })).status).toBe(200)
      }
      const narrow = await mint(['billing:read'])
      const refused = await ask(null, 'GET /keys', { headers: { 'x-api-key': narrow.secret } })
      expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
    })

    it('reads only the header that it is told, the standard one by its scheme', async () => {
      const { secret } = await mint()
      const bearer = { authorization: `bearer ${secret}` }
      const status = async (headers: Record<string, string>) => (await ask(null, 'GET /own', { headers })).status
      for (const [name, good, bad] of [
        ['Authorization', bearer, { 'x-api-key': secret }],
        ['X-Gateway-Key', { 'x-gateway-key': secret }, bearer],
      ] as [string, Record<string, string>, Record<string, string>][]) {
        await server.close()
        header = name
        server = await listen()
        expect([name, await status(good), await status(bad)]).toEqual([name, 200, 401])
        expect(await status({ 'x-gateway-key': `Bearer ${secret}`, authorization: secret })).toBe(401)
      }
    })

    it('says no more than 401, whatever is wrong with a key', async () => {
      const revoked = await mint()
      await rbac.keys.revoke({ tenantId }, revoked.key.id)
      const foreign = `ak_${'0'.repeat(36)}`
      const answers = []
      for (const headers of [
        ...[{ 'x-api-key': revoked.secret }, { 'x-api-key': foreign }, { authorization: 'Bearer x.y.z' }],
        ...[{ authorization: 'Basic eDp5' }, { 'x-api-key': '' }, {}],
      ] as Record<string, string>[]) {
        const traced = { ...headers, 'user-agent': 'thief/1.0', 'x-request-id': 'req 7' }
        const { status, body, headers: sent } = await ask(null, 'GET /own', { headers: traced })
        expect(sent.get('www-authenticate')).toBe('Bearer')
        answers.push(JSON.stringify([status, body]))
      }
      expect(new Set(answers).size).toBe(1)
      expect(answers[0]).toContain('"code":"unauthenticated"')
      const { data } = await rbac.audit.query({ tenantId }, { action: 'access.denied' })
      expect(data).toHaveLength(1)
      expect(data[0]).toMatchObject({ actor: { type: 'key', id: revoked.key.id }, data: { code: 'revoked' } })
      expect(data[0]).toMatchObject({ ip: expect.any(String), userAgent: 'thief/1.0', requestId: 'req 7' })
      expect(JSON.stringify(logger.entries)).not.toContain(revoked.secret)
    })

    it('counts a request once, though several guards ask', async () => {
      const { secret } = await mint(['keys:read'], { rateLimit: { limit: 2, windowMs: 60_000 } })
      const headers = { 'x-api-key': secret }
      const first = await ask(null, 'GET /twice', { headers })
      expect([first.status, first.headers.get('ratelimit-remaining')]).toEqual([200, '1'])
      expect((await ask(null, 'GET /twice', { headers })).status).toBe(200)
      const limited = await ask(null, 'GET /twice', { headers })
      expect(limited.status).toBe(429)
      expect(limited.headers.get('content-type')).toContain('application/problem+json')
      expect(limited.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(limited.headers.get('ratelimit-policy')).toBe('"key";q=2;w=60')
      await rbac.keys.flush()
      expect(events.filter(({ type }) => type === 'rate_limit.exceeded')).toHaveLength(1)
    })

    it('refuses a key from other addresses with 403', async () => {
      const near = await mint(['keys:read'], { allowedIps: ['127.0.0.1', '::1'] })
      const far = await mint(['keys:read'], { allowedIps: ['203.0.113.0/24'] })
      expect((await ask(null, 'GET /own', { headers: { 'x-api-key': near.secret } })).status).toBe(200)
      const headers = { 'x-api-key': far.secret, 'x-forwarded-for': '203.0.113.7' }
      const refused = await ask(null, 'GET /own', { headers })
      expect([refused.status, refused.body.code]).toEqual([403, 'ip_not_allowed'])
      await server.close()
      proxied = true
      server = await listen()
      expect((await ask(null, 'GET /own', { headers })).status).toBe(200)
      // What the caller wrote stands before what the proxy saw.
      await server.close()
      proxied = 1
      server = await listen()
      const forged = { ...headers, 'x-forwarded-for': '203.0.113.7, 198.51.100.1' }
      expect((await ask(null, 'GET /own', { headers: forged })).status).toBe(403)
      const real = { ...headers, 'x-forwarded-for': '198.51.100.1, 203.0.113.7' }
      expect((await ask(null, 'GET /own', { headers: real })).status).toBe(200)
    })

    it('defect 9: stops guessing from one address, or one /64, and lets those pass who have a key that works', async () => {
      await server.close()
      proxied = true
      server = await listen()
      const { secret } = await mint()
      const from = (ip: string, key: string) =>
        ask(null, 'GET /own', { headers: { 'x-api-key': key, 'x-forwarded-for': ip } })
      expect((await from('2001:db8:0:1::1', secret)).status).toBe(200)
      for (let i = 0; i < 30; i++) expect((await from(`2001:db8:0:1::${i}`, `guess ${i}`)).status).toBe(401)
      const stopped = await from('2001:db8:0:1:ffff::9', 'guess')
      expect([stopped.status, stopped.body.code]).toEqual([429, 'rate_limited'])
      expect(Number(stopped.headers.get('retry-after'))).toBeGreaterThan(50)
      expect((await from('2001:db8:0:2::1', 'guess')).status).toBe(401)
      expect((await from('2001:db8:0:1::1', secret)).status).toBe(200)
      // A secret that has never worked is a guess like any other.
      const fresh = await mint()
      expect((await from('2001:db8:0:1::2', fresh.secret)).status).toBe(429)
      expect((await from('192.0.2.1', fresh.secret)).status).toBe(200)
      expect((await from('2001:db8:0:1::2', fresh.secret)).status).toBe(200)
    })
  })
}

it('the routes that show a secret keep no copy of their answer', () => {
  const { http } = createRbac({ logger })
  const showing = http.routes.filter(({ id }) => id === 'rbac.createKey' || id === 'rbac.rotateKey')
  expect(showing.map(({ idempotent }) => idempotent)).toEqual([undefined, undefined])
  const { components } = openapi(http, { title: 'x', version: '1' }) as { components: { schemas: object } }
  expect(JSON.stringify(components.schemas)).not.toContain('hash":')
  expect(Object.keys(components.schemas)).toEqual(expect.arrayContaining(['RbacKey', 'RbacKeyWithSecret']))
})
