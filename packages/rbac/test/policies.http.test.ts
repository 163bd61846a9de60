/** A tenant's own roles and its policy over HTTP. */
import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, predefinedRoles, type Rbac } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const logger = recordingLogger()
const roles = {
  ...predefinedRoles,
  manager: { permissions: ['team:*', 'roles:*', 'policies:*', 'keys:read'] },
} as const

for (const target of httpTargets()) {
  describe(`roles and policies on ${target.name}`, () => {
    const clock = fakeClock()
    let rbac: Rbac
    let server: HttpServer
    const ask = client(() => server.url)
    const editors = { roles: { editor: { name: 'Editor', permissions: ['keys:read'] } } }
    const document = { roles: { editor: { ...editors.roles.editor, inherits: [], rules: [] } }, tests: [] }
    const at = '2026-01-01T00:00:00.000Z'

    beforeEach(async () => {
      rbac = createRbac({ storage: memoryStorage(), clock, logger, roles })
      const members = { olga: 'owner', adam: 'admin', mia: 'manager', rea: 'read_only', dev: 'developer' }
      for (const [userId, role] of Object.entries(members)) {
        await rbac.assignments.assign({ tenantId: 'acme' }, { userId, role })
      }
      const identity = (userId = '', tenantId = '') => (userId ? { userId, tenantId } : null)
      const host = mounted(rbac.http, {
        express: () => rbacRouter(rbac, { context: rbac.context((q) => identity(q.get('x-user'), q.get('x-tenant'))) }),
        koa: () => koaRbacRouter(rbac, { context: rbac.context((c) => identity(c.get('x-user'), c.get('x-tenant'))) }),
      })
      server = await target.listen(host)
    })
    afterEach(() => server.close())

    const draft = (body: object = editors, who = 'olga') => ask(who, 'PUT /policies/draft', { body })
    const publish = (etag: string, who = 'olga', body?: object) =>
      ask(who, 'POST /policies/publish', { ...(body && { body }), headers: { 'if-match': etag } })

    it('roles are made, read, changed and deleted one by one', async () => {
      const input = {
        key: 'support',
        permissions: ['keys:read'],
        rules: [{ effect: 'deny', permission: 'keys:delete' }],
      }
      const made = await ask('mia', 'POST /roles', { body: input })
      const view = { ...input, name: 'support', description: null, custom: true, inherits: [] }
      expect([made.status, made.body]).toEqual([201, view])
      expect((await ask('adam', 'GET /roles/support')).body).toEqual(view)
      const listed = (await ask('adam', 'GET /roles')).body
      expect(listed.next).toBeNull()
      expect(listed.data.map(({ key, custom }: typeof view) => [key, custom])).toEqual([
        ...Object.keys(roles).map((key) => [key, false]),
        ['support', true],
      ])
      const changed = await ask('mia', 'PATCH /roles/support', { body: { name: 'Help desk' } })
      expect([changed.status, changed.body]).toEqual([200, { ...view, name: 'Help desk' }])
      const gone = await ask('mia', 'DELETE /roles/support')
      expect([gone.status, gone.body]).toEqual([204, undefined])
      expect((await ask('adam', 'GET /roles/support')).status).toBe(404)
    })

    it('roles answer an Idempotency-Key, and refuse by code', async () => {
      const headers = { 'idempotency-key': 'k1' }
      const body = { key: 'support', permissions: ['keys:read'] }
      const made = await ask('olga', 'POST /roles', { body, headers })
      const again = await ask('olga', 'POST /roles', { body, headers })
      expect([again.status, again.body]).toEqual([201, made.body])
      expect(again.headers.get('idempotency-replayed')).toBe('true')
      await ask('olga', 'POST /assignments', { body: { userId: 'dev', role: 'support' } })
      const cases: [who: string, request: string, body: object | undefined, status: number, code: string][] = [
        ['olga', 'POST /roles', body, 409, 'role_exists'],
        ['olga', 'POST /roles', { ...body, key: 'owner' }, 409, 'role_exists'],
        ['olga', 'PATCH /roles/owner', { name: 'x' }, 409, 'role_predefined'],
        ['olga', 'DELETE /roles/owner', undefined, 409, 'role_predefined'],
        ['olga', 'DELETE /roles/support', undefined, 409, 'role_in_use'],
        ['olga', 'DELETE /roles/nobody', undefined, 404, 'not_found'],
        ['olga', 'PATCH /roles/nobody', {}, 404, 'not_found'],
        ['mia', 'POST /roles', { key: 'more', permissions: ['keys:*'] }, 403, 'exceeds_own_rights'],
        ['mia', 'PATCH /roles/support', { permissions: ['*'] }, 403, 'exceeds_own_rights'],
        ['adam', 'POST /roles', { key: 'more' }, 403, 'forbidden'],
        ['rea', 'PATCH /roles/support', { name: 'x' }, 403, 'forbidden'],
        ['rea', 'DELETE /roles/support', undefined, 403, 'forbidden'],
        ['dev', 'GET /roles/support', undefined, 403, 'forbidden'],
        ['olga', 'POST /roles', { key: 'a b' }, 422, 'invalid_input'],
        ['olga', 'POST /roles', { key: 'more', id: 'owner' }, 422, 'invalid_input'],
        ['olga', 'PATCH /roles/support', { key: 'other' }, 422, 'invalid_input'],
      ]
      for (const [who, request, sent, status, code] of cases) {
        const response = await ask(who, request, sent ? { body: sent } : {})
        expect([request, sent, response.status, response.body.code]).toEqual([request, sent, status, code])
      }
      const { body: missing } = await ask('mia', 'POST /roles', { body: { key: 'more', permissions: ['keys:*'] } })
      expect(missing.missing).toEqual(['keys:*'])
    })

    it('a policy is drafted, compared, tested, published and brought back', async () => {
      expect((await ask('rea', 'GET /policies')).body).toEqual({ data: [], next: null })
      expect((await ask('rea', 'GET /policies/draft')).status).toBe(404)
      const saved = await draft()
      const view = { document, basedOn: 0, etag: saved.body.etag, stale: false, author: { type: 'user', id: 'olga' } }
      expect([saved.status, saved.body]).toEqual([200, { ...view, updatedAt: at }])
      expect((await ask('rea', 'GET /policies/draft')).body).toEqual(saved.body)
      const { body: diff } = await ask('rea', 'GET /policies/diff')
      expect(diff).toMatchObject({ roles: [{ key: 'editor', change: 'added' }], members: [], total: 0 })
      expect(diff.text).toContain('+++ roles/editor\tdraft')
      expect((await ask('rea', 'POST /policies/test')).body).toEqual({ passed: 0, failed: 0, results: [] })

      const published = await publish(`"${saved.body.etag}"`, 'olga', { note: 'first' })
      const version = { version: 1, kind: 'publish', basedOn: 0, note: 'first', createdAt: at }
      expect([published.status, published.body]).toEqual([
        201,
        { ...version, author: { type: 'user', id: 'olga' }, document },
      ])
      expect((await ask('rea', 'GET /policies/1')).body).toEqual(published.body)
      await ask('olga', 'POST /assignments', { body: { userId: 'ann', role: 'editor' } })
      await ask('olga', 'PATCH /roles/editor', { body: { permissions: [] } })
      expect((await ask('rea', 'GET /policies/diff?from=1&to=2')).body).toMatchObject({
        ...{ members: [{ userId: 'ann', gains: [], loses: ['keys:read'] }], total: 1, truncated: false },
      })
      const back = await ask('olga', 'POST /policies/1/rollback')
      expect([back.status, back.body]).toMatchObject([201, { version: 3, kind: 'rollback', basedOn: 1, document }])
      const page = await ask('rea', 'GET /policies?limit=2')
      expect(page.body.data.map(({ version }: { version: number }) => version)).toEqual([3, 2])
      expect(page.body.data[0]).not.toHaveProperty('document')
      expect((await ask('rea', `GET /policies?cursor=${page.body.next}`)).body).toMatchObject({
        ...{ data: [{ version: 1 }], next: null },
      })
      const ids = JSON.stringify([saved, published, page, diff])
      expect(ids).not.toMatch(/rol_|draft:|tenantId/)
    })

    it('publishing wants If-Match, of the draft as it is', async () => {
      const { etag } = (await draft()).body
      const without = await ask('olga', 'POST /policies/publish')
      expect([without.status, without.body.code]).toEqual([428, 'precondition_required'])
      for (const other of ['x', '"x"', '*', `W/"${etag}"`, `"${etag}", "x"`, '""', 'x'.repeat(500)]) {
        const response = await publish(other)
        expect([other, response.status, response.body.code]).toEqual([other, 412, 'policy_stale'])
      }
      await ask('olga', 'POST /roles', { body: { key: 'support' } })
      const stale = await publish(etag)
      expect([stale.status, stale.body.code]).toEqual([412, 'policy_stale'])
      expect((await ask('rea', 'GET /policies/draft')).body.stale).toBe(true)

      const old = await ask('olga', 'PUT /policies/draft', { body: editors, headers: { 'if-match': '"x"' } })
      expect([old.status, old.body.code]).toEqual([412, 'policy_stale'])
      const both = { roles: { ...editors.roles, support: {} } }
      const rebased = await ask('olga', 'PUT /policies/draft?basedOn=1', { body: both, headers: { 'if-match': etag } })
      expect([rebased.status, rebased.body.stale]).toEqual([200, false])
      expect((await publish(rebased.body.etag)).status).toBe(201)
      expect((await publish(rebased.body.etag)).status).toBe(412)

      await draft()
      expect((await ask('olga', 'DELETE /policies/draft')).status).toBe(204)
      expect((await ask('olga', 'DELETE /policies/draft')).status).toBe(404)
    })

    it('a refused version says why, and a test report says how', async () => {
      const tests = [{ name: 'editors delete', roles: ['editor'], permission: 'keys:delete', expect: 'allow' }]
      const { etag } = (await draft({ ...editors, tests })).body
      const report = (await ask('rea', 'POST /policies/test', { body: {} })).body
      expect(report).toMatchObject({
        ...{ passed: 0, failed: 1 },
        results: [
          { ok: false, expected: 'allow', got: 'deny', explanation: { wouldAllow: ['owner', 'admin', 'developer'] } },
        ],
      })
      const failing = await publish(etag)
      expect([failing.status, failing.body.code]).toEqual([422, 'policy_tests_failed'])
      expect(failing.body.failures).toEqual(report.results)

      const above = (await draft({ roles: { editor: { permissions: ['keys:*'] } } }, 'mia')).body
      const refused = await publish(above.etag, 'mia')
      expect([refused.status, refused.body]).toMatchObject([403, { code: 'exceeds_own_rights', missing: ['keys:*'] }])
      expect((await publish(above.etag)).status).toBe(201)
      await ask('olga', 'POST /assignments', { body: { userId: 'ann', role: 'editor' } })
      const gone = await publish((await draft({ roles: {} })).body.etag)
      expect([gone.status, gone.body]).toMatchObject([
        409,
        { code: 'role_in_use', roles: [{ key: 'editor', assignments: 1, members: 1, invites: 0 }] },
      ])
    })

    it('simulate answers for whoever may read policies', async () => {
      const { body } = await draft({ roles: { editor: { permissions: ['keys:delete'] } } })
      const question = { roles: ['editor'], resource: 'keys', action: 'delete', draft: true }
      const simulate = (more: object, who = 'rea') =>
        ask(who, 'POST /policies/simulate', { body: { ...question, ...more } })
      expect((await simulate({})).body).toMatchObject({ allowed: true, policyVersion: 1, userId: 'somebody' })
      expect((await simulate({}, 'dev')).status).toBe(403)
      expect((await simulate({ roles: ['editor'], draft: undefined })).body).toMatchObject({
        ...{ code: 'invalid_input', errors: [{ pointer: '/roles/0' }] },
      })
      expect((await simulate({ roles: undefined, userId: 'dev', draft: undefined })).body.allowed).toBe(true)
      expect((await simulate({ tenantId: 'globex' })).status).toBe(422)
      expect(body.basedOn).toBe(0)
    })

    it('simulate tells of another member whoever may read the team as well', async () => {
      await rbac.roles.create({ tenantId: 'acme' }, { key: 'policy_reader', permissions: ['policies:read'] })
      await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'pia', role: 'policy_reader' })
      const simulate = async (more: object) =>
        (await ask('pia', 'POST /policies/simulate', { body: { resource: 'keys', action: 'delete', ...more } })).status
      expect(await simulate({ userId: 'dev' })).toBe(403)
      expect(await simulate({ userId: 'pia' })).toBe(200)
      expect(await simulate({ userId: 'dev', roles: ['admin'] })).toBe(200)
    })

    it('is open to those who may, and to no others', async () => {
      const reading = ['/policies', '/policies/draft', '/policies/diff', '/policies/1'].map((path) => `GET ${path}`)
      const asking = ['POST /policies/test', 'POST /policies/simulate']
      const writing = [
        'PUT /policies/draft',
        'DELETE /policies/draft',
        'POST /policies/publish',
        'POST /policies/1/rollback',
      ]
      for (const request of [...reading, ...asking, ...writing]) {
        for (const who of writing.includes(request) ? ['adam', 'dev', 'rea'] : ['adam', 'dev']) {
          const response = await ask(who, request, request.startsWith('GET') ? {} : { body: {} })
          expect([who, request, response.status, response.body?.resource]).toEqual([who, request, 403, 'policies'])
        }
      }
    })

    it('bad input is refused by field', async () => {
      const cases: [request: string, body: unknown, pointer: string][] = [
        ['PUT /policies/draft', { roles: { a: { permissions: ['x:y'] } } }, '/roles/a/permissions/0'],
        ['PUT /policies/draft', { roles: { owner: {} } }, '/roles/owner'],
        ['PUT /policies/draft', { roles: {}, tests: [{}] }, '/tests/0/name'],
        ['PUT /policies/draft', { roles: { constructor: {} } }, '/roles/constructor'],
        ['PUT /policies/draft?basedOn=x', editors, '/basedOn'],
        ['PUT /policies/draft?basedOn=9', editors, '/basedOn'],
        ['GET /policies/0', undefined, '/version'],
        ['GET /policies/1x', undefined, '/version'],
        ['POST /policies/-1/rollback', {}, '/version'],
        ['POST /policies/1/rollback', { version: 2 }, '/version'],
        ['POST /policies/test', { version: 1, document: editors }, ''],
        ['GET /policies/diff?from=last', undefined, '/from'],
        ['GET /policies/diff?of=1', undefined, '/of'],
        ['GET /policies?cursor=x', undefined, '/cursor'],
      ]
      for (const [request, body, pointer] of cases) {
        const response = await ask('olga', request, body === undefined ? {} : { body })
        expect([request, response.status, response.body.code]).toEqual([request, 422, 'invalid_input'])
        expect(response.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
      }
      // A parser of the host's may answer by itself, in its own words.
      const status = async (body: string) => {
        const headers = { 'x-user': 'olga', 'x-tenant': 'acme', 'content-type': 'application/json' }
        return (await fetch(`${server.url}/policies/draft`, { method: 'PUT', headers, body })).status
      }
      expect([400, 422]).toContain(await status('{"roles":{"__proto__":{"permissions":["*"]}}}'))
      const large = { roles: { a: { description: 'x'.repeat(2 ** 20) } } }
      expect([413, 422]).toContain(await status(JSON.stringify(large)))
      expect((await ask('olga', 'GET /policies/draft')).status).toBe(404)
    })

    it('another tenant’s roles and policies are not there', async () => {
      await rbac.assignments.assign({ tenantId: 'globex' }, { userId: 'gus', role: 'owner' })
      await ask('olga', 'POST /roles', { body: { key: 'support' } })
      const { etag } = (await draft({ roles: { support: {} } })).body
      for (const request of [
        ...['GET /roles/support', 'DELETE /roles/support', 'GET /policies/1', 'GET /policies/draft'],
        ...['DELETE /policies/draft', 'GET /policies/diff', 'POST /policies/1/rollback', 'POST /policies/test'],
      ]) {
        expect([request, (await ask('gus@globex', request)).status]).toEqual([request, 404])
      }
      expect((await publish(etag, 'gus@globex')).status).toBe(412)
      expect((await ask('gus@globex', 'GET /policies')).body.data).toEqual([])
    })
  })
}
