/** The HTTP contract: both frameworks, at the root and under a prefix, with and without a body parser of the host's. */

import { createMongoAbility } from '@casl/ability'
import { localProvider, memoryStorage, type PaymentProvider } from '@org/billing'
import * as express from '@org/billing/express'
import * as koa from '@org/billing/koa'
import { openapi } from '@org/core'
import { type HttpServer, httpTargets, mounted } from '@org/core/testing'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { billingOn } from './kit.js'

/** CASL's own ability, from rights as `billing:read billing:*`. */
const abilityOf = (rights: string) =>
  createMongoAbility(
    rights.split(' ').map((right) => {
      const [subject = '', action = ''] = right.split(':')
      return { subject: subject === '*' ? 'all' : subject, action: action === '*' ? 'manage' : action }
    }),
  )

/** Who asks, by the headers of a test: the tenant, and what they may do. */
function context(headers: Record<string, unknown>) {
  const tenantId = headers['x-tenant']
  if (typeof tenantId !== 'string') return null
  const rights = headers['x-rights']
  const ability = abilityOf(typeof rights === 'string' ? rights : '*:*')
  return { tenantId, actor: { type: 'user', id: 'ann' } as const, ability }
}

const host = (billing: ReturnType<typeof billingOn>['billing']) =>
  mounted(billing.http, {
    express: () => express.billingRouter(billing, { context: (req) => context(req.headers) }),
    koa: () => koa.billingRouter(billing, { context: (ctx) => context(ctx.headers) }),
  })

let tenants = 0

for (const target of httpTargets()) {
  describe(`billing over HTTP: ${target.name}`, () => {
    const { billing, clock, heard } = billingOn(memoryStorage())
    let server: HttpServer
    beforeAll(async () => {
      server = await target.listen(host(billing))
    })
    afterAll(() => server.close())

    const as = (tenant = `h${++tenants}`) => {
      const call = (method: 'get' | 'post' | 'patch', path: string) =>
        request(server.url)[method](path).set('x-tenant', tenant)
      const subscribe = async (plan = 'starter') =>
        (await call('post', '/subscriptions').send({ plan }).expect(201)).body
      return { tenant, call, subscribe }
    }

    it('lists the plans by rank', async () => {
      const { body } = await as().call('get', '/plans').expect(200)
      expect(body.next).toBeNull()
      expect(body.data.map((plan: { id: string; isDefault: boolean }) => [plan.id, plan.isDefault])).toEqual([
        ['free', true],
        ['starter', false],
        ['pro', false],
        ['scale', false],
      ])
      expect(body.data[1]).toEqual({
        id: 'starter',
        name: 'Starter',
        description: null,
        rank: 1,
        currency: 'usd',
        prices: { month: 1000, year: 10_000 },
        features: { projects: 5, support: 'mail' },
        meters: { requests: { included: { month: 100, year: 100 }, limit: 'hard' } },
        isDefault: false,
      })
    })

    it('subscribes, previews, changes, cancels and resumes', async () => {
      const { call } = as()
      expect((await call('get', '/subscription').expect(200)).body).toEqual({ subscription: null })
      const { body: created } = await call('post', '/subscriptions')
        .send({ plan: 'starter', interval: 'month' })
        .expect(201)
      expect(created).toEqual({
        id: expect.stringMatching(/^sub_/),
        plan: 'starter',
        interval: 'month',
        currency: 'usd',
        amount: 1000,
        status: 'active',
        anchor: '2026-01-01T00:00:00.000Z',
        currentPeriodStart: '2026-01-01T00:00:00.000Z',
        currentPeriodEnd: '2026-02-01T00:00:00.000Z',
        cancelAtPeriodEnd: false,
        scheduledChange: null,
        canceledAt: null,
        endedAt: null,
        pastDueSince: null,
        createdAt: '2026-01-01T00:00:00.000Z',
        updatedAt: '2026-01-01T00:00:00.000Z',
      })
      const path = `/subscriptions/${created.id}`
      expect((await call('get', path).expect(200)).body).toEqual(created)
      expect((await call('get', '/subscription').expect(200)).body).toEqual({ subscription: created })
      expect((await call('get', '/subscriptions?status=active&limit=1').expect(200)).body.data).toEqual([created])
      const preview = await call('post', `${path}/preview`).send({ plan: 'pro' }).expect(200)
      expect(preview.body).toMatchObject({
        when: 'now',
        effectiveAt: '2026-01-01T00:00:00.000Z',
        invoice: { total: 2000 },
      })
      const changed = await call('post', `${path}/change`).send({ plan: 'pro' }).expect(200)
      expect(changed.body).toMatchObject({ plan: 'pro', amount: 3000 })
      expect((await call('post', `${path}/cancel`).expect(200)).body).toMatchObject({ cancelAtPeriodEnd: true })
      expect((await call('post', `${path}/resume`).expect(200)).body).toMatchObject({ cancelAtPeriodEnd: false })
      expect((await call('post', `${path}/cancel`).send({ when: 'now' }).expect(200)).body).toMatchObject({
        status: 'canceled',
      })
      const { body } = await call('post', `${path}/resume`).expect(409)
      expect(body).toMatchObject({ code: 'subscription_ended', type: 'urn:problem:billing:subscription_ended' })
    })

    it('shows invoices, the next one too, and pays an open one', async () => {
      const { call, subscribe, tenant } = as()
      await subscribe()
      const list = await call('get', '/invoices').expect(200)
      expect(list.body.data).toHaveLength(1)
      const [invoice] = list.body.data
      expect(invoice).toMatchObject({ status: 'paid', total: 1000, periodStart: '2026-01-01T00:00:00.000Z' })
      expect(Object.keys(invoice)).not.toContain('periodKey')
      expect((await call('get', `/invoices/${invoice.id}`).expect(200)).body).toEqual(invoice)
      expect((await call('get', '/invoices/preview').expect(200)).body.invoice).toMatchObject({ amountDue: 1000 })
      const draft = await billing.invoices.create(
        { tenantId: tenant },
        { lines: [{ description: 'Set-up', amount: 50 }] },
      )
      await call('post', `/invoices/${draft.id}/pay`).expect(409)
      await billing.invoices.finalize({ tenantId: tenant }, draft.id)
      await call('patch', '/customer').send({ paymentMethod: 'pm_declined' }).expect(200)
      const declined = await call('post', `/invoices/${draft.id}/pay`).expect(402)
      expect(declined.body).toMatchObject({ code: 'payment_declined', declineCode: 'card_declined' })
      await call('patch', '/customer').send({ paymentMethod: null }).expect(200)
      expect((await call('post', `/invoices/${draft.id}/pay`).expect(200)).body).toMatchObject({ status: 'paid' })
    })

    it('shows and changes the customer', async () => {
      const { call } = as()
      await call('get', '/customer').expect(404)
      const { body } = await call('patch', '/customer').send({ email: 'ann@example.com', name: 'Ann' }).expect(200)
      expect(body).toMatchObject({ email: 'ann@example.com', name: 'Ann', balance: 0 })
      expect((await call('get', '/customer').expect(200)).body).toEqual(body)
      const wrong = await call('patch', '/customer').send({ email: 'ann', balance: 5 }).expect(422)
      expect(wrong.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
        '/balance',
        '/email',
      ])
    })

    it('records and shows usage, and answers 429 with when to come back', async () => {
      const { call } = as()
      const use = (body: object) => call('post', '/usage').send(body)
      const recorded = await use({ meter: 'requests', quantity: 9, idempotencyKey: 'k' }).expect(201)
      expect(recorded.body).toMatchObject({
        used: 9,
        remaining: 1,
        duplicate: false,
        resetsAt: '2026-02-01T00:00:00.000Z',
      })
      expect((await use({ meter: 'requests', quantity: 9, idempotencyKey: 'k' }).expect(201)).body.duplicate).toBe(true)
      const refused = await use({ meter: 'requests', quantity: 2 }).expect(429)
      expect(refused.headers['retry-after']).toBe(String(31 * 24 * 3600))
      expect(refused.body).toMatchObject({ code: 'quota_exceeded', limit: 10, used: 9, remaining: 1 })
      expect((await call('get', '/usage').expect(200)).body).toEqual({
        plan: 'free',
        currency: 'usd',
        windowStart: '2026-01-01T00:00:00.000Z',
        windowEnd: '2026-02-01T00:00:00.000Z',
        meters: [{ meter: 'requests', used: 9, limit: 10, remaining: 1, overage: 0, overageAmount: 0 }],
      })
      await use({ meter: 'requests', tenantId: 'somebody-else' }).expect(422)
      const late = await use({ meter: 'requests', time: '2025-12-31T23:59:59Z' }).expect(422)
      expect(late.body.errors[0].pointer).toBe('/time')
    })

    it('tells any member what the plan gives', async () => {
      const { call } = as()
      const nobody = () => call('get', '/entitlements/sso').set('x-rights', 'keys:read')
      expect((await nobody().expect(200)).body).toMatchObject({ feature: 'sso', allowed: false, reason: 'not_in_plan' })
      expect((await call('get', '/entitlements/requests?needed=11').expect(200)).body).toMatchObject({
        allowed: false,
        reason: 'quota_exceeded',
        resetsAt: '2026-02-01T00:00:00.000Z',
      })
      const unknown = await call('get', '/entitlements/sos').expect(422)
      expect(unknown.body.errors).toEqual([
        {
          pointer: '/feature',
          detail: 'unknown value "sos"; known values: sso, projects, support, moon, requests, emails, exports',
        },
      ])
    })

    it('a creation with an Idempotency-Key is done once', async () => {
      const { call } = as()
      const create = (plan: string) => call('post', '/subscriptions').set('idempotency-key', 'k').send({ plan })
      const first = await create('pro').expect(201)
      const again = await create('pro').expect(201)
      expect(again.body).toEqual(first.body)
      expect(again.headers['idempotency-replayed']).toBe('true')
      await create('starter').expect(409)
      expect((await call('get', '/invoices').expect(200)).body.data).toHaveLength(1)
      const change = () =>
        call('post', `/subscriptions/${first.body.id}/change`).set('idempotency-key', 'k').send({ plan: 'scale' })
      const changed = await change().expect(200)
      expect((await change().expect(200)).body).toEqual(changed.body)
      expect((await call('get', '/invoices').expect(200)).body.data).toHaveLength(2)
    })

    it('refuses: nobody, without a right, unknown names, broken bodies', async () => {
      const { call } = as()
      await request(server.url).get('/plans').expect(401)
      const forbidden = await call('post', '/subscriptions')
        .set('x-rights', 'billing:read')
        .send({ plan: 'pro' })
        .expect(403)
      expect(forbidden.body).toMatchObject({ action: 'create', resource: 'billing' })
      await call('post', '/usage').set('x-rights', 'billing:read').send({ meter: 'requests' }).expect(403)
      await call('post', '/usage').set('x-rights', 'billing:create').send({ meter: 'requests' }).expect(201)
      const unknown = await call('post', '/subscriptions').send({ plan: 'gold' }).expect(422)
      expect(unknown.body.errors).toEqual([
        { pointer: '/plan', detail: 'unknown value "gold"; known values: free, starter, pro, scale' },
      ])
      const odd = await call('post', '/subscriptions').send({ plan: 'pro', price: 1, interval: 'week' }).expect(422)
      expect(odd.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual(['/interval', '/price'])
      await call('post', '/subscriptions').set('content-type', 'application/json').send('{').expect(400)
      await call('post', '/subscriptions').set('content-type', 'text/plain').send('plan=pro').expect(415)
      for (const path of ['/invoices/a%00b', '/subscriptions/a%00b', '/invoices?subscriptionId=a%00b']) {
        await call('get', path).expect(422)
      }
      await call('get', '/invoices?limit=0').expect(422)
      await call('get', '/invoices?cursor=nonsense').expect(422)
    })

    it('another tenant’s ids are not found, on every route that takes one', async () => {
      const [mine, theirs] = [as(), as()]
      const { id } = await theirs.subscribe('pro')
      const invoice = (await theirs.call('get', '/invoices').expect(200)).body.data[0]
      const before = await billing.subscriptions.get({ tenantId: theirs.tenant }, id)
      const routes = billing.http.routes.filter((route) => route.path.includes(':id'))
      expect(routes.length).toBeGreaterThanOrEqual(7)
      for (const route of routes) {
        const path = route.path.replace(':id', route.path.startsWith('/invoices') ? invoice.id : id)
        const sent = mine.call(route.method.toLowerCase() as 'get', path)
        const { body } = await (route.body
          ? sent.send({ ...(!path.endsWith('cancel') && { plan: 'scale' }) })
          : sent
        ).expect(404)
        expect(body.code).toBe('not_found')
      }
      expect(await billing.subscriptions.get({ tenantId: theirs.tenant }, id)).toEqual(before)
      for (const list of ['/subscriptions', '/invoices']) {
        expect((await mine.call('get', list).expect(200)).body.data).toEqual([])
      }
    })

    it('tells the events who did it', async () => {
      const { call, subscribe } = as()
      await subscribe()
      expect(heard.at(-1)).toMatchObject({ type: 'invoice.paid', actor: { type: 'user', id: 'ann' } })
      expect(heard.at(-1)?.ip).toMatch(/127\.0\.0\.1$/)
      await call('get', '/plans').expect(200)
      expect(clock.now()).toBe(Date.parse('2026-01-01T00:00:00Z'))
    })
  })
}

it('with a provider over the network an Idempotency-Key is neither promised nor in the way, and charges once', async () => {
  let charges = 0
  const provider: PaymentProvider = {
    ...localProvider(),
    inProcess: false,
    async charge(asked) {
      charges++
      return localProvider().charge(asked)
    },
  }
  const { billing } = billingOn(memoryStorage(), { provider })
  const [target] = httpTargets()
  const server = await target?.listen(host(billing))
  onTestFinished(() => server?.close())
  const post = (path: string, body: object) =>
    request(server?.url ?? '')
      .post(path)
      .set({ 'x-tenant': 'net', 'idempotency-key': 'k' })
      .send(body)
  const { body } = await post('/subscriptions', { plan: 'starter' }).expect(201)
  expect((await post('/subscriptions', { plan: 'starter' }).expect(409)).body.code).toBe('subscription_exists')
  await post(`/subscriptions/${body.id}/change`, { plan: 'pro' }).expect(200)
  expect((await post(`/subscriptions/${body.id}/change`, { plan: 'pro' }).expect(409)).body.code).toBe('no_change')
  expect(charges).toBe(2)
  const document = JSON.stringify(openapi(billing.http, { title: 'Billing', version: '1' }).paths)
  expect(document.match(/Idempotency-Key/gi)).toHaveLength(1)
})

describe('OpenAPI', () => {
  it('describes every route, with named schemas', () => {
    const { billing } = billingOn(memoryStorage())
    const document = openapi(billing.http, { title: 'Billing', version: '1' }) as {
      paths: Record<string, Record<string, { responses: Record<string, unknown> }>>
      components: { schemas: Record<string, unknown> }
    }
    const described = Object.values(document.paths).reduce((sum, path) => sum + Object.keys(path).length, 0)
    expect(described).toBe(billing.http.routes.length)
    expect(Object.keys(document.components.schemas).sort()).toEqual([
      'BillingChangePreview',
      'BillingCustomer',
      'BillingEntitlement',
      'BillingInvoice',
      'BillingInvoiceLine',
      'BillingInvoicePreview',
      'BillingMeterUsage',
      'BillingPlan',
      'BillingSubscription',
      'BillingUsageRecord',
      'BillingUsageSummary',
      'Problem',
    ])
    expect(Object.keys(document.paths['/subscriptions']?.post?.responses ?? {})).toEqual(
      expect.arrayContaining(['201', '401', '402', '403', '409', '422', '503']),
    )
  })
})
