import { createMongoAbility } from '@casl/ability'
import { memoryDatabase, openapi } from '@org/core'
import { httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createWebhooks, memoryStorage, type Webhooks } from '@org/webhooks'
import * as express from '@org/webhooks/express'
import * as koa from '@org/webhooks/koa'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const url = 'https://example.com/hooks'
/** Who asks, by the headers of a test: the tenant, and what they may do. */
function context(headers: Record<string, unknown>) {
  const tenantId = headers['x-tenant']
  if (typeof tenantId !== 'string') return null
  const rights = String(headers['x-rights'] ?? 'all:manage').split(' ')
  const rules = rights.map((right) => {
    const [subject = '', action = ''] = right.split(':')
    return { subject, action }
  })
  return { tenantId, actor: { type: 'user', id: 'ann' } as const, ability: createMongoAbility(rules) }
}

/** What a route wants to be sent, if anything. */
function bodyOf(verb: string, path: string): object | undefined {
  if (/\/(recover|replay)$/.test(path)) return { since: '2026-01-01T00:00:00Z' }
  return verb === 'patch' ? {} : undefined
}

const host = (webhooks: Webhooks) =>
  mounted(webhooks.http, {
    express: () => express.webhooksRouter(webhooks, { context: (req) => context(req.headers) }),
    koa: () => koa.webhooksRouter(webhooks, { context: (ctx) => context(ctx.headers) }),
  })

for (const target of httpTargets()) {
  describe(`webhooks over HTTP: ${target.name}`, () => {
    const database = memoryDatabase()
    const logger = recordingLogger()
    const storage = memoryStorage({ database })
    const webhooks = createWebhooks({ storage, logger })
    let server: Awaited<ReturnType<typeof target.listen>>
    beforeAll(async () => {
      server = await target.listen(host(webhooks))
    })
    afterAll(() => server.close())

    const call = (method: 'get' | 'post' | 'patch' | 'delete', path: string, tenant = 't1') =>
      request(server.url)[method](path).set('x-tenant', tenant)
    const create = async (tenant = 't1', body: object = { url }) =>
      (await call('post', '/endpoints', tenant).send(body).expect(201)).body
    /** A dead letter, without a receiver. */
    const deadLetter = async (tenant = 't1') => {
      const { id } = await create(tenant)
      const { messageId } = await webhooks.publish({ tenantId: tenant, type: 'key.created', data: { keyId: 'key_1' } })
      const [delivery] = (await webhooks.deliveries.list({ tenantId: tenant }, { endpointId: id })).data
      const deliveryId = delivery?.id ?? ''
      await storage.run(({ deliveries }) => deliveries.update(deliveryId, { status: 'dead_letter', endedAt: 0 }))
      return { endpointId: id as string, messageId, deliveryId }
    }

    it('registers an endpoint and shows its secret once', async () => {
      const { secret, ...created } = await create('t1', { url, eventTypes: ['key.*'], description: 'Ours' })
      expect(secret).toMatch(/^whsec_/)
      expect(created).toEqual({
        id: expect.stringMatching(/^ep_/),
        url,
        description: 'Ours',
        eventTypes: ['key.*'],
        channels: null,
        filter: null,
        metadata: {},
        headerNames: [],
        enabled: true,
        disabledReason: null,
        unverified: false,
        signing: 'hmac-sha256',
        publicKey: null,
        extraSignature: null,
        retryScheduleMs: null,
        timeoutMs: null,
        rateLimit: null,
        maxInFlight: null,
        ordering: null,
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
        updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      })
      const { body } = await call('get', `/endpoints/${created.id}`).expect(200)
      expect(body).toEqual(created)
      const list = await call('get', '/endpoints?limit=1').expect(200)
      expect(list.body.data).toEqual([created])
      expect(list.text).not.toContain('whsec_')
    })

    it('changes, disables, enables, rotates, tests and deletes it', async () => {
      const { id, secret } = await create()
      const patched = await call('patch', `/endpoints/${id}`).send({ description: 'New' }).expect(200)
      expect(patched.body).toMatchObject({ description: 'New', url })
      expect((await call('post', `/endpoints/${id}/disable`).expect(200)).body).toMatchObject({
        enabled: false,
        disabledReason: 'manual',
      })
      expect((await call('post', `/endpoints/${id}/test`).expect(409)).body.code).toBe('endpoint_disabled')
      expect((await call('post', `/endpoints/${id}/enable`).expect(200)).body.enabled).toBe(true)
      const rotated = await call('post', `/endpoints/${id}/rotate-secret`).expect(200)
      expect(rotated.body.secret).toMatch(/^whsec_/)
      expect(rotated.body.secret).not.toBe(secret)
      await call('post', `/endpoints/${id}/rotate-secret`).send({ overlapSeconds: 0 }).expect(200)
      const tested = await call('post', `/endpoints/${id}/test`).send({ type: 'key.created' }).expect(201)
      const delivery = await call('get', `/deliveries/${tested.body.deliveryId}`).expect(200)
      expect(delivery.body).toMatchObject({ status: 'pending', endpointId: id, eventType: 'key.created', attempts: 0 })
      const message = await call('get', `/messages/${tested.body.messageId}`).expect(200)
      expect(message.body).toMatchObject({ type: 'key.created', data: { keyId: 'key_1' }, deliveries: 1 })
      expect(message.body.tenantId).toBe(undefined)
      await call('delete', `/endpoints/${id}`).expect(204)
      await call('get', `/endpoints/${id}`).expect(404)
      expect((await call('get', `/deliveries/${tested.body.deliveryId}`)).body.status).toBe('canceled')
    })

    it('lists deliveries by filters, and works on dead letters', async () => {
      const { endpointId, deliveryId } = await deadLetter('t-dead')
      const get = (path: string) => call('get', path, 't-dead').expect(200)
      const post = (path: string) => call('post', path, 't-dead')
      expect((await get(`/deliveries?endpointId=${endpointId}&status=dead_letter`)).body.data).toMatchObject([
        { id: deliveryId },
      ])
      for (const list of ['/deliveries', '/dead-letters']) {
        const ids = async (query: string) =>
          (await get(`${list}?${query}`)).body.data.map(({ id }: { id: string }) => id)
        expect(await ids('since=1970-01-01T00:00:00Z')).toEqual([deliveryId])
        expect(await ids('until=1970-01-01T00:00:00Z')).toEqual([])
        await call('get', `${list}?since=1000`, 't-dead').expect(422)
      }
      expect((await get('/deliveries?status=delivered')).body).toEqual({ data: [], next: null })
      expect((await get(`/deliveries/${deliveryId}/attempts`)).body).toEqual({ data: [], next: null })
      expect((await get('/dead-letters')).body.data).toMatchObject([
        { id: deliveryId, endedAt: '1970-01-01T00:00:00.000Z' },
      ])
      await post(`/deliveries/${deliveryId}/cancel`).expect(409)
      expect((await post(`/dead-letters/${deliveryId}/redrive`).expect(200)).body.status).toBe('pending')
      await post(`/dead-letters/${deliveryId}/discard`).expect(404)
      expect((await post(`/deliveries/${deliveryId}/cancel`).expect(200)).body.status).toBe('canceled')
      expect((await post(`/deliveries/${deliveryId}/retry`).expect(200)).body.status).toBe('pending')
    })

    it('sends nothing again that is being sent, or whose endpoint is disabled or gone', async () => {
      const { endpointId, deliveryId } = await deadLetter('t-again')
      const refused = async (path: string) => (await call('post', path, 't-again').expect(409)).body.code
      const again = [`/deliveries/${deliveryId}/retry`, `/dead-letters/${deliveryId}/redrive`]
      await call('post', `/endpoints/${endpointId}/disable`, 't-again').expect(200)
      for (const path of again) expect(await refused(path)).toBe('endpoint_disabled')
      await call('delete', `/endpoints/${endpointId}`, 't-again').expect(204)
      for (const path of again) expect(await refused(path)).toBe('endpoint_deleted')
      const expunged = await deadLetter('t-expunged')
      await webhooks.messages.expunge({ tenantId: 't-expunged' }, expunged.messageId)
      for (const path of [`/deliveries/${expunged.deliveryId}/retry`, `/dead-letters/${expunged.deliveryId}/redrive`]) {
        expect((await call('post', path, 't-expunged').expect(409)).body.code).toBe('payload_expunged')
      }
      const { body: kept } = await call('get', `/deliveries/${expunged.deliveryId}`, 't-expunged').expect(200)
      expect(kept.status).toBe('dead_letter')
      const leased = { status: 'pending', leaseToken: 'a worker', leaseUntil: Number.MAX_SAFE_INTEGER } as const
      await storage.run(({ deliveries }) => deliveries.update(deliveryId, leased))
      expect(await refused(`/deliveries/${deliveryId}/retry`)).toBe('delivery_in_flight')
    })

    it('shows the event types with their JSON Schema', async () => {
      const { body } = await call('get', '/event-types').expect(200)
      expect(body.data.map(({ name }: { name: string }) => name)).toEqual([
        'alert.triggered',
        'key.created',
        'key.revoked',
        'quota.exceeded',
        'rate_limit.exceeded',
        'request.completed',
        'request.created',
        'request.failed',
      ])
      const created = body.data[1]
      expect(created).toMatchObject({ description: 'An API key was created.', example: { keyId: 'key_1' } })
      expect(created.schema).toMatchObject({ type: 'object', required: ['keyId'] })
    })

    it('answers bad input with what is wrong and where', async () => {
      const problem = async (body: unknown, status = 422) => {
        const response = await call('post', '/endpoints')
          .send(body as object)
          .expect(status)
        expect(response.headers['content-type']).toMatch('application/problem+json')
        return response.body
      }
      const insecure = await problem({ url: 'http://example.com' })
      expect(insecure).toMatchObject({ status: 422, code: 'invalid_input', errors: [{ pointer: '/url' }] })
      expect(insecure.errors[0].detail).toMatch(/must start with https/)
      expect((await problem({ url: 'https://10.0.0.1' })).errors[0].detail).toMatch(/private/)
      expect((await problem({ url, eventTypes: ['nope'] })).errors).toEqual([
        { pointer: '/eventTypes/0', detail: expect.stringMatching(/unknown value "nope"; known values: alert/) },
      ])
      expect((await problem({ url, secrets: [] })).errors).toEqual([{ pointer: '/secrets', detail: 'unknown field' }])
      expect((await call('get', '/deliveries?status=lost').expect(422)).body.errors[0].pointer).toBe('/status')
      expect((await call('get', '/deliveries?since=1').expect(422)).body.errors[0].pointer).toBe('/since')
      expect((await call('get', '/endpoints?cursor=x').expect(422)).body.errors[0].pointer).toBe('/cursor')
    })

    it('rotates once for an Idempotency-Key', async () => {
      const { body: endpoint } = await call('post', '/endpoints', 't-rotate').send({ url })
      const rotate = () =>
        call('post', `/endpoints/${endpoint.id}/rotate-secret`, 't-rotate').set('idempotency-key', 'k1').send({})
      const [first, second] = [await rotate().expect(200), await rotate().expect(200)]
      expect([second.body, second.headers['idempotency-replayed']]).toEqual([first.body, 'true'])
      expect(first.body.secret).toMatch(/^whsec_/)
    })

    it('creates once for an Idempotency-Key', async () => {
      const post = (body: object) => call('post', '/endpoints', 't-idem').set('idempotency-key', 'k1').send(body)
      const first = await post({ url }).expect(201)
      const second = await post({ url }).expect(201)
      expect([second.body, second.headers['idempotency-replayed']]).toEqual([first.body, 'true'])
      expect((await post({ url: `${url}/2` }).expect(409)).body.code).toBe('idempotency_conflict')
      expect((await call('get', '/endpoints', 't-idem')).body.data.length).toBe(1)
    })

    it("answers 404 for everything that is another tenant's", async () => {
      const { endpointId, messageId, deliveryId } = await deadLetter()
      const { id: jobId } = await webhooks.recover({ tenantId: 't1' }, { endpointId, since: 0 })
      const ids: Record<string, string> = { endpoints: endpointId, messages: messageId, jobs: jobId }
      const routes = webhooks.http.routes.filter(({ path }) => path.includes(':id'))
      expect(routes.length).toBe(22)
      for (const { method, path } of routes) {
        const id = ids[path.split('/')[1] ?? ''] ?? deliveryId
        const verb = method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete'
        const response = await call(verb, path.replace(':id', id), 't2').send(bodyOf(verb, path))
        expect([path, response.status, response.body.code]).toEqual([path, 404, 'not_found'])
      }
      expect((await call('get', '/endpoints', 't2')).body.data).toEqual([])
      expect((await call('get', `/endpoints/${endpointId}`)).body.enabled).toBe(true)
    })

    it('asks for the right of each route, and for somebody to have it', async () => {
      const actions = { GET: 'read', PATCH: 'update', DELETE: 'delete', POST: 'update' }
      for (const { method, path } of webhooks.http.routes) {
        const verb = method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete'
        const action = path === '/endpoints' && method === 'POST' ? 'create' : actions[method as keyof typeof actions]
        await request(server.url)[verb](path).expect(401)
        const others = ['create', 'read', 'update', 'delete'].filter((name) => name !== action)
        const rights = others.map((name) => `webhooks:${name}`).join(' ')
        const { body } = await call(verb, path).set('x-rights', rights).expect(403)
        expect([path, body.resource, body.action]).toEqual([path, 'webhooks', action])
        const allowed = await call(verb, path.replace(':id', 'none'))
          .set('x-rights', `webhooks:${action}`)
          .send(verb === 'get' ? undefined : {})
        expect([path, allowed.status === 403]).toEqual([path, false])
      }
    })
  })
}

it('describes its routes in OpenAPI', () => {
  const document = openapi(createWebhooks({ storage: memoryStorage() }).http, { title: 'Webhooks', version: '1' })
  const { paths, components } = document as { paths: object; components: { schemas: object } }
  expect(Object.keys(paths)).toEqual([
    '/event-types',
    '/endpoints',
    '/endpoints/{id}',
    '/endpoints/{id}/stats',
    '/endpoints/{id}/enable',
    '/endpoints/{id}/verify',
    '/endpoints/{id}/disable',
    '/endpoints/{id}/rotate-secret',
    '/endpoints/{id}/test',
    '/messages/{id}',
    '/messages/{id}/cancel',
    '/messages/{id}/payload',
    '/deliveries',
    '/deliveries/{id}',
    '/deliveries/{id}/attempts',
    '/deliveries/{id}/retry',
    '/deliveries/{id}/cancel',
    '/dead-letters',
    '/dead-letters/{id}/redrive',
    '/dead-letters/{id}/discard',
    '/endpoints/{id}/recover',
    '/endpoints/{id}/replay',
    '/dead-letters/redrive',
    '/jobs',
    '/jobs/{id}',
    '/jobs/{id}/cancel',
  ])
  expect(Object.keys(components.schemas).sort()).toEqual([
    'Problem',
    'WebhookAttempt',
    'WebhookDelivery',
    'WebhookEndpoint',
    'WebhookEndpointStats',
    'WebhookEndpointWithSecret',
    'WebhookEventType',
    'WebhookFilter',
    'WebhookJob',
    'WebhookMessage',
    'WebhookMessageCanceled',
    'WebhookTestSent',
  ])
})
