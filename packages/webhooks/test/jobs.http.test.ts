import { createMongoAbility } from '@casl/ability'
import { memoryDatabase } from '@org/core'
import { httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createWebhooks, memoryStorage, type Webhooks } from '@org/webhooks'
import * as express from '@org/webhooks/express'
import * as koa from '@org/webhooks/koa'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const url = 'https://example.com/hooks'
const since = '2026-01-01T00:00:00.000Z'

function context(headers: Record<string, unknown>) {
  const action = String(headers['x-right'] ?? 'manage')
  const ability = createMongoAbility([{ subject: 'webhooks', action }])
  return { tenantId: String(headers['x-tenant'] ?? 't1'), actor: { type: 'user', id: 'ann' } as const, ability }
}

const host = (webhooks: Webhooks) =>
  mounted(webhooks.http, {
    express: () => express.webhooksRouter(webhooks, { context: (req) => context(req.headers) }),
    koa: () => koa.webhooksRouter(webhooks, { context: (ctx) => context(ctx.headers) }),
  })

for (const target of httpTargets()) {
  describe(`jobs over HTTP: ${target.name}`, () => {
    const storage = memoryStorage({ database: memoryDatabase() })
    const webhooks = createWebhooks({ storage, logger: recordingLogger() })
    let server: Awaited<ReturnType<typeof target.listen>>
    beforeAll(async () => {
      server = await target.listen(host(webhooks))
    })
    afterAll(() => server.close())

    const call = (method: 'get' | 'post', path: string, tenant = 't1') =>
      request(server.url)[method](path).set('x-tenant', tenant)
    const endpoint = async () => (await webhooks.endpoints.create({ tenantId: 't1' }, { url })).id

    it('asks for each kind, shows it, lists it and cancels it', async () => {
      const id = await endpoint()
      const body = { since, until: '2026-02-01T01:00:00+01:00', eventTypes: ['key.*'] }
      const params = { since, until: '2026-02-01T00:00:00.000Z', eventTypes: ['key.*'] }
      const recover = (await call('post', `/endpoints/${id}/recover`).send(body).expect(202)).body
      expect(recover).toEqual({
        id: expect.stringMatching(/^job_/),
        kind: 'recover',
        status: 'running',
        endpointId: id,
        params,
        processed: 0,
        affected: 0,
        skipped: 0,
        total: 0,
        error: null,
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
        updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        endedAt: null,
      })
      const replay = (await call('post', `/endpoints/${id}/replay`).send({ since }).expect(202)).body
      expect(replay).toMatchObject({ kind: 'replay', params: { since, until: null, eventTypes: null } })
      const redrive = (await call('post', '/dead-letters/redrive').send({ eventType: 'key.created' }).expect(202)).body
      expect(redrive).toMatchObject({ kind: 'redrive', endpointId: null, params: { eventTypes: ['key.created'] } })
      expect((await call('get', `/jobs/${recover.id}`).expect(200)).body).toEqual(recover)
      const list = (await call('get', `/jobs?endpointId=${id}&limit=1`).expect(200)).body
      expect(list.data).toEqual([replay])
      const rest = await call('get', `/jobs?endpointId=${id}&cursor=${list.next}`).expect(200)
      expect(rest.body).toEqual({ data: [recover], next: null })
      const canceled = (await call('post', `/jobs/${recover.id}/cancel`).expect(200)).body
      expect(canceled).toMatchObject({ status: 'canceled', endedAt: expect.any(String) })
      expect((await call('post', `/jobs/${recover.id}/cancel`).expect(409)).body.code).toBe('job_ended')
      expect((await call('get', '/jobs?status=canceled').expect(200)).body.data).toEqual([canceled])
    })

    it('makes one job for an Idempotency-Key', async () => {
      const id = await endpoint()
      const paths = [`/endpoints/${id}/recover`, `/endpoints/${id}/replay`, '/dead-letters/redrive']
      for (const path of paths) {
        const press = () => call('post', path).set('idempotency-key', 'k1').send({ since }).expect(202)
        const [first, second] = [await press(), await press()]
        expect([second.body, second.headers['idempotency-replayed']]).toEqual([first.body, 'true'])
      }
      expect((await call('get', `/jobs?endpointId=${id}`)).body.data.length).toBe(2)
    })

    it("answers 404 for what is another tenant's, 409 for what is disabled, and 422 with the place", async () => {
      const id = await endpoint()
      const job = (await call('post', `/endpoints/${id}/recover`).send({ since })).body
      const theirs = [
        call('post', `/endpoints/${id}/recover`, 't2').send({ since }),
        call('post', `/endpoints/${id}/replay`, 't2').send({ since }),
        call('post', '/dead-letters/redrive', 't2').send({ endpointId: id }),
        call('get', `/jobs/${job.id}`, 't2'),
        call('post', `/jobs/${job.id}/cancel`, 't2'),
      ]
      for (const asked of theirs) expect((await asked.expect(404)).body.code).toBe('not_found')
      expect((await call('get', '/jobs', 't2').expect(200)).body.data).toEqual([])
      await webhooks.endpoints.disable({ tenantId: 't1' }, id)
      const disabled = [`/endpoints/${id}/recover`, `/endpoints/${id}/replay`]
      for (const path of disabled) {
        expect((await call('post', path).send({ since }).expect(409)).body.code).toBe('endpoint_disabled')
      }
      const redrive = call('post', '/dead-letters/redrive').send({ endpointId: id })
      expect((await redrive.expect(409)).body.code).toBe('endpoint_disabled')
      const pointerOf = async (path: string, body: object) =>
        (await call('post', path).send(body).expect(422)).body.errors[0].pointer
      expect(await pointerOf(`/endpoints/${id}/recover`, {})).toBe('/since')
      expect(await pointerOf(`/endpoints/${id}/replay`, { since: 5 })).toBe('/since')
      expect(await pointerOf(`/endpoints/${id}/replay`, { since, until: since })).toBe('/until')
      expect(await pointerOf(`/endpoints/${id}/recover`, { since, eventTypes: ['nope'] })).toBe('/eventTypes/0')
      expect(await pointerOf('/dead-letters/redrive', { status: 'held' })).toBe('/status')
    })

    it('asks for the right', async () => {
      const id = await endpoint()
      const job = (await call('post', `/endpoints/${id}/recover`).send({ since })).body
      const changes = [
        `/endpoints/${id}/recover`,
        `/endpoints/${id}/replay`,
        '/dead-letters/redrive',
        `/jobs/${job.id}/cancel`,
      ]
      for (const path of changes) await call('post', path).set('x-right', 'read').send({ since }).expect(403)
      for (const path of ['/jobs', `/jobs/${job.id}`]) {
        await call('get', path).set('x-right', 'update').expect(403)
        await call('get', path).set('x-right', 'read').expect(200)
      }
      for (const path of changes)
        expect((await call('post', path).set('x-right', 'update').send({ since })).status).not.toBe(403)
    })
  })
}
