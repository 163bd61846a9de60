import { createMongoAbility, type MongoAbility, type RawRuleOf } from '@casl/ability'
import { unpackRules } from '@casl/ability/extra'
import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type Rbac } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const logger = recordingLogger()

for (const target of httpTargets()) {
  describe(`routes on ${target.name}`, () => {
    const clock = fakeClock()
    let rbac: Rbac
    let server: HttpServer
    const ask = client(() => server.url)

    beforeEach(async () => {
      rbac = createRbac({ storage: memoryStorage(), clock, logger })
      const members = { olga: 'owner', adam: 'admin', dev: 'developer', bill: 'billing', rea: 'read_only' }
      for (const [userId, role] of Object.entries(members)) {
        await rbac.assignments.assign({ tenantId: 'acme' }, { userId, role })
      }
      await rbac.assignments.assign({ tenantId: 'globex' }, { userId: 'olga', role: 'developer' })
      await rbac.assignments.assign({ tenantId: 'globex' }, { userId: 'gus', role: 'owner' })
      const identity = (who = '', tenantId = '') => {
        if (who.startsWith('ak_')) return { apiKey: who }
        return who ? { userId: who, tenantId } : null
      }
      const host = mounted(rbac.http, {
        express: () => rbacRouter(rbac, { context: rbac.context((q) => identity(q.get('x-user'), q.get('x-tenant'))) }),
        koa: () => koaRbacRouter(rbac, { context: rbac.context((c) => identity(c.get('x-user'), c.get('x-tenant'))) }),
      })
      server = await target.listen(host)
    })
    afterEach(() => server.close())

    it('defect 1: all want an identity, from the host and never from the body', async () => {
      const claim = { userId: 'olga', tenantId: 'acme', actor: { type: 'user', id: 'olga' }, role: 'owner' }
      for (const { method, path, can } of rbac.http.routes) {
        // What an invite offers is seen by whoever has its token.
        if (can === 'public') continue
        const response = await ask(null, `${method} ${path}`, method === 'POST' ? { body: claim } : {})
        expect([path, response.status]).toEqual([path, 401])
        expect(response.headers.get('content-type')).toContain('application/problem+json')
        expect(response.body).toMatchObject({ code: 'unauthenticated', status: 401 })
      }
    })

    it('all but one’s own refuse a member without rights, naming what is missing', async () => {
      const guarded = rbac.http.routes.filter(({ can }) => typeof can !== 'string')
      expect(guarded.length).toBeGreaterThan(35)
      for (const { method, path, can } of guarded) {
        const response = await ask('stranger', `${method} ${path}`, method === 'POST' ? { body: {} } : {})
        expect([path, response.status]).toEqual([path, 403])
        const [action, resource] = can as readonly [string, string]
        expect(response.body).toMatchObject({ code: 'forbidden', action, resource })
        expect(response.body.detail).toContain(`${resource}:${action}`)
      }
    })

    it('GET /me tells roles, permissions and rules for a browser', async () => {
      const me = await ask('dev', 'GET /me')
      expect(me.status).toBe(200)
      expect(me.body).toEqual({
        ...{ tenantId: 'acme', actor: { type: 'user', id: 'dev' }, roles: ['developer'] },
        permissions: ['analytics:read', 'keys:create', 'keys:delete', 'keys:read', 'keys:update'],
        rules: [
          ['manage', 'keys'],
          ['read', 'analytics'],
        ],
      })
      const ability = createMongoAbility(unpackRules<RawRuleOf<MongoAbility>>(me.body.rules))
      expect(ability.can('delete', 'keys')).toBe(true)
      expect(ability.can('read', 'billing')).toBe(false)
      expect((await ask('olga', 'GET /me')).body).toMatchObject({ roles: ['owner'], rules: [['manage', 'all']] })
      expect((await ask('olga@globex', 'GET /me')).body).toMatchObject({ tenantId: 'globex', roles: ['developer'] })
      const stranger = await ask('stranger', 'GET /me')
      expect(stranger.body).toMatchObject({ roles: [], permissions: [], rules: [] })
    })

    it('GET /roles lists them with their names', async () => {
      const { status, body } = await ask('adam', 'GET /roles')
      expect(status).toBe(200)
      expect(body.next).toBeNull()
      expect(body.data).toHaveLength(5)
      expect(body.data[4]).toEqual({
        ...{ key: 'read_only', name: 'Read Only', description: 'Reads everything', custom: false },
        ...{ inherits: [], permissions: ['*:read'], rules: [] },
      })
    })

    it('/assignments gives, lists and takes roles', async () => {
      const input = { userId: 'new', role: 'developer' }
      const made = await ask('adam', 'POST /assignments', { body: input })
      expect(made.status).toBe(201)
      expect(made.body).toEqual({
        ...{ id: expect.stringMatching(/^asg_/), ...input, on: null, expiresAt: null },
        createdAt: '2026-01-01T00:00:00.000Z',
      })
      const again = await ask('adam', 'POST /assignments', { body: input })
      expect([again.status, again.body]).toEqual([201, made.body])
      expect((await ask('new', 'GET /me')).body.roles).toEqual(['developer'])

      const first = await ask('rea', 'GET /assignments?limit=2')
      expect(first.body.data).toHaveLength(2)
      expect(first.body.data[0]).toEqual(made.body)
      const second = await ask('rea', `GET /assignments?limit=250&cursor=${first.body.next}`)
      expect(second.body).toMatchObject({ next: null })
      expect(second.body.data).toHaveLength(4)
      expect((await ask('rea', 'GET /assignments?userId=new')).body.data).toEqual([made.body])
      expect((await ask('rea', 'GET /assignments?role=owner')).body.data).toMatchObject([{ userId: 'olga' }])

      const taken = await ask('adam', 'DELETE /assignments?userId=new&role=developer')
      expect([taken.status, taken.body]).toEqual([204, undefined])
      expect((await ask('new', 'GET /me')).body.roles).toEqual([])
      const gone = await ask('adam', 'DELETE /assignments?userId=new&role=developer')
      expect([gone.status, gone.body.code]).toEqual([404, 'not_found'])
    })

    it('POST /assignments honours an Idempotency-Key', async () => {
      const post = (userId: string) =>
        ask('olga', 'POST /assignments', { body: { userId, role: 'admin' }, headers: { 'idempotency-key': 'k1' } })
      const made = await post('new')
      await ask('olga', 'DELETE /assignments?userId=new&role=admin')
      const replayed = await post('new')
      expect([replayed.status, replayed.body]).toEqual([201, made.body])
      expect(replayed.headers.get('idempotency-replayed')).toBe('true')
      expect((await ask('new', 'GET /me')).body.roles).toEqual([])
      const other = await post('newer')
      expect([other.status, other.body.code]).toEqual([409, 'idempotency_conflict'])
    })

    it('nobody gives more than they hold, touches an owner from below, or leaves a tenant without one', async () => {
      const above = await ask('adam', 'POST /assignments', { body: { userId: 'adam', role: 'owner' } })
      expect([above.status, above.body.code, above.body.missing]).toEqual([403, 'exceeds_own_rights', ['*']])
      const owner = await ask('adam', 'DELETE /assignments?userId=olga&role=owner')
      expect([owner.status, owner.body.code]).toEqual([403, 'exceeds_own_rights'])
      const last = await ask('olga', 'DELETE /assignments?userId=olga&role=owner')
      expect([last.status, last.body.code]).toEqual([409, 'last_owner'])
      expect((await ask('olga', 'GET /me')).body.roles).toEqual(['owner'])
      expect((await ask('adam', 'GET /me')).body.roles).toEqual(['admin'])
    })

    it('another tenant’s members are not there', async () => {
      const swapped = await ask('gus@globex', 'DELETE /assignments?userId=dev&role=developer')
      expect([swapped.status, swapped.body.code]).toEqual([404, 'not_found'])
      expect((await ask('gus@globex', 'GET /assignments?userId=dev')).body.data).toEqual([])
      const others = (await ask('gus@globex', 'GET /assignments')).body.data
      expect(others.map(({ userId }: { userId: string }) => userId)).toEqual(['gus', 'olga'])
      expect((await ask('gus@globex', 'GET /audit')).body.data).toHaveLength(2)
      const check = { userId: 'adam', resource: 'team', action: 'read' }
      expect((await ask('gus@globex', 'POST /check', { body: check })).body).toEqual({ allowed: false })
      expect((await ask('adam@globex', 'GET /roles')).status).toBe(403)
    })

    it('POST /check answers about oneself, and about others to whom the team is open', async () => {
      const check = (who: string, body: object) => ask(who, 'POST /check', { body })
      const keys = { resource: 'keys', action: 'create' }
      expect((await check('dev', keys)).body).toEqual({ allowed: true })
      expect((await check('dev', { ...keys, userId: 'dev' })).body).toEqual({ allowed: true })
      expect((await check('bill', keys)).body).toEqual({ allowed: false })
      expect((await check('rea', { ...keys, userId: 'dev' })).body).toEqual({ allowed: true })
      expect((await check('rea', { ...keys, userId: 'nobody' })).body).toEqual({ allowed: false })
      const refused = await check('dev', { ...keys, userId: 'olga' })
      expect(refused.status).toBe(403)
      expect(refused.body).toMatchObject({ code: 'forbidden', action: 'read', resource: 'team' })
    })

    it('POST /checks answers many questions, in order', async () => {
      const checks = [
        { resource: 'keys', action: 'create' },
        { resource: 'team', action: 'read' },
      ]
      const own = await ask('dev', 'POST /checks', { body: { checks } })
      expect([own.status, own.body]).toEqual([200, { allowed: [true, false] }])
      expect((await ask('rea', 'POST /checks', { body: { userId: 'dev', checks } })).body.allowed).toEqual([
        true,
        false,
      ])
      expect((await ask('dev', 'POST /checks', { body: { userId: 'rea', checks } })).status).toBe(403)
      const nested = { resource: 'keys', action: 'read', row: { owner: { id: 1 } } }
      const refused = await ask('dev', 'POST /checks', { body: { checks: [nested] } })
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, '/checks/0/row/owner'])
    })

    it('POST /explain says why, of oneself and of a key that asks', async () => {
      const explain = (who: string, body: object) => ask(who, 'POST /explain', { body })
      const no = await explain('dev', { resource: 'team', action: 'read' })
      expect(no.body).toMatchObject({ allowed: false, reason: 'not_granted', roles: ['developer'] })
      expect(no.body.wouldAllow).toEqual(['owner', 'admin', 'read_only'])
      expect((await explain('dev', { resource: 'team', action: 'read', userId: 'olga' })).status).toBe(403)
      expect((await explain('rea', { resource: 'team', action: 'read', userId: 'olga' })).body.allowed).toBe(true)
      const scope = { tenantId: 'acme', actor: { type: 'user' as const, id: 'dev' } }
      const { secret } = await rbac.keys.create(scope, { name: 'CI', scopes: ['keys:read'] })
      expect(await rbac.checkPermission('dev', 'keys', 'update', scope)).toBe(true)
      const explained = await explain(secret, { resource: 'keys', action: 'read' })
      expect(explained.body).toMatchObject({ allowed: true, userId: 'dev', grants: [{ permission: 'keys:read' }] })
      const narrowed = await explain(secret, { resource: 'keys', action: 'update' })
      expect(narrowed.body).toMatchObject({ allowed: false, grants: [] })
    })

    it('POST /explain says why over a row and some fields', async () => {
      const when = { ownerId: { var: 'userId' as const } }
      const rule = { effect: 'allow' as const, permission: 'billing:update' as const, when, fields: ['plan'] }
      await rbac.roles.create({ tenantId: 'acme' }, { key: 'payer', rules: [rule] })
      await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'pat', role: 'payer' })
      const why = async (about: object) =>
        (await ask('pat', 'POST /explain', { body: { resource: 'billing', action: 'update', ...about } })).body
      expect(await why({})).toMatchObject({ allowed: false, reason: 'depends', decidedBy: null })
      const own = { row: { ownerId: 'pat' }, fields: ['plan'] }
      expect(await why(own)).toMatchObject({ allowed: true, reason: 'granted', decidedBy: { role: 'payer', when } })
      expect(await why({ ...own, row: { ownerId: 'olga' } })).toMatchObject({ allowed: false, reason: 'not_granted' })
      expect(await why({ ...own, fields: ['plan', 'price'] })).toMatchObject({ allowed: false })
    })

    it('GET /who-can tells who may do something, in pages', async () => {
      const who = async (query: string) => (await ask('rea', `GET /who-can?${query}`)).body
      expect(await who('resource=keys&action=create')).toEqual({
        ...{ data: [{ userId: 'adam' }, { userId: 'dev' }, { userId: 'olga' }], next: null },
      })
      const first = await who('resource=keys&action=create&limit=2')
      expect(first.data).toEqual([{ userId: 'adam' }, { userId: 'dev' }])
      const rest = await who(`resource=keys&action=create&limit=2&cursor=${first.next}`)
      expect(rest).toEqual({ data: [{ userId: 'olga' }], next: null })
      expect((await ask('gus@globex', 'GET /who-can?resource=team&action=read')).body.data).toEqual([{ userId: 'gus' }])
      const refused = await ask('dev', 'GET /who-can?resource=keys&action=create')
      expect([refused.status, refused.body.resource, refused.body.action]).toEqual([403, 'team', 'read'])
    })

    it('GET /audit filters by everything, and pages', async () => {
      clock.set('2026-02-01T00:00:00Z')
      await ask('adam', 'POST /assignments', {
        body: { userId: 'new', role: 'developer' },
        headers: { 'user-agent': 'contract', 'x-request-id': 'req-7' },
      })
      const at = '2026-02-01T00:00:00.000Z'
      const by = async (query: string) => (await ask('olga', `GET /audit?${query}`)).body.data
      const [entry] = await by('user=adam')
      expect(entry).toMatchObject({
        ...{ time: at, actor: { type: 'user', id: 'adam' }, action: 'assignment.created' },
        ...{ resource: { type: 'assignment' }, data: { userId: 'new', role: 'developer' }, before: null },
        ...{ after: { userId: 'new' }, outcome: 'success', userAgent: 'contract', requestId: 'req-7' },
      })
      expect(entry).not.toHaveProperty('tenantId')
      expect(entry.ip).toMatch(/127\.0\.0\.1$/)
      expect(await by(`resourceType=assignment&resourceId=${entry.resource.id}`)).toEqual([entry])
      expect(await by('resourceType=member&resourceId=new')).toEqual([entry])
      expect(await by(`from=${at}`)).toEqual([entry])
      expect(await by(`to=${at}&action=assignment.created`)).toHaveLength(5)
      expect(await by('action=key.created')).toEqual([])
      const page = await ask('olga', 'GET /audit?limit=5')
      expect(page.body.data).toHaveLength(5)
      expect((await ask('olga', `GET /audit?limit=5&cursor=${page.body.next}`)).body).toMatchObject({
        ...{ data: [{ data: { userId: 'olga' } }], next: null },
      })
      clock.set('2026-01-01T00:00:00Z')
    })

    it('bad input is refused by field, with the known values', async () => {
      const known = 'owner, admin, developer, billing, read_only'
      const cases: [string, unknown, string, string][] = [
        ['POST /assignments', { userId: 'x', role: 'boss' }, '/role', known],
        ['POST /assignments', { userId: 'x' }, '/role', ''],
        ['POST /assignments', { userId: '', role: 'admin' }, '/userId', ''],
        ['POST /assignments', { userId: 'x', role: 'admin', tenantId: 'globex' }, '/tenantId', 'unknown field'],
        ['POST /assignments', { userId: 'x', role: 'admin', actor: { type: 'system', id: 'x' } }, '/actor', 'unknown'],
        ['DELETE /assignments', undefined, '/userId', ''],
        ['DELETE /assignments?userId=&role=admin', undefined, '/userId', ''],
        ['DELETE /assignments?userId=dev&role=boss', undefined, '/role', known],
        ['DELETE /assignments?userId=dev&userId=rea&role=admin', undefined, '/userId', ''],
        ['GET /assignments?role=boss', undefined, '/role', known],
        ['GET /assignments?who=dev', undefined, '/who', 'unknown field'],
        ['GET /assignments?cursor=x', undefined, '/cursor', ''],
        ['POST /check', { resource: 'kyes', action: 'read' }, '/resource', 'keys, analytics, team'],
        ['POST /check', { resource: 'keys', action: 'raed' }, '/action', 'create, read, update, delete'],
        ['POST /check', { resource: 'keys', action: '*' }, '/action', 'unknown value'],
        ['POST /check', { resource: 'keys', action: 'read', tenantId: 'globex' }, '/tenantId', 'unknown field'],
        ['POST /explain', { resource: 'keys', action: 'raed' }, '/action', 'create, read, update, delete'],
        ['POST /explain', { resource: 'keys', action: 'read', row: { owner: { id: 1 } } }, '/row/owner', ''],
        ['GET /who-can?resource=keys', undefined, '/action', ''],
        ['GET /who-can?resource=kyes&action=read', undefined, '/resource', 'keys, analytics, team'],
        ['GET /who-can?resource=keys&action=read&row=1', undefined, '/row', 'unknown field'],
        ['GET /who-can?resource=keys&action=read&cursor=x', undefined, '/cursor', ''],
        ['GET /audit?from=yesterday', undefined, '/from', ''],
        ['GET /audit?user=', undefined, '/user', ''],
        ['GET /audit?limit=0', undefined, '/limit', ''],
      ]
      for (const [request, body, pointer, detail] of cases) {
        const response = await ask('olga', request, { body })
        expect([request, response.status, response.body.code]).toEqual([request, 422, 'invalid_input'])
        const errors = expect.arrayContaining([{ pointer, detail: expect.stringContaining(detail) }])
        expect(response.body.errors).toEqual(errors)
      }
      const plain = await ask('olga', 'POST /check', { body: 'x=1', headers: { 'content-type': 'text/plain' } })
      expect([plain.status, plain.body.code]).toEqual([415, 'unsupported_media_type'])
    })
  })
}
