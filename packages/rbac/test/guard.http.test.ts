/** `requirePermission` in front of routes that belong to the host. */
import { defineAbility } from '@casl/ability'
import Router from '@koa/router'
import { type Ability, contextOf, coreErrors, type RequestContext } from '@org/core'
import { type HttpServer, httpTargets, recordingLogger } from '@org/core/testing'
import { createRbac, type Identity, memoryStorage, type Rbac } from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter, requirePermission as requireOnKoa } from '@org/rbac/koa'
import type { Request } from 'express'
import type { Context } from 'koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const rows = [
  { id: 'k1', tenantId: 'default', ownerId: 'dev' },
  { id: 'k2', tenantId: 'default', ownerId: 'other' },
  { id: 'k3', tenantId: 't2', ownerId: 'dev' },
]
/** As a host would: in the caller's tenant only. */
const rowIn = async ({ tenantId }: RequestContext, id: unknown) =>
  rows.find((row) => row.tenantId === tenantId && row.id === id)

const logger = recordingLogger()

for (const target of httpTargets()) {
  describe(`requirePermission on ${target.name}`, () => {
    let rbac: Rbac
    let server: HttpServer
    /** Stands in for the host's sign-in. */
    let identify: (userId: string | undefined) => Identity | null | Promise<Identity | null>
    /** Set to guard by an ability of the host's own. */
    let hostAbility: Ability | undefined
    let loadRow: (context: RequestContext, id: unknown) => Promise<object | undefined>
    const ask = client(() => server.url)

    beforeEach(async () => {
      logger.entries.length = 0
      hostAbility = undefined
      loadRow = rowIn
      identify = (userId) => (userId ? { userId } : null)
      rbac = createRbac({ logger, storage: memoryStorage() })
      await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'dev', role: 'developer' })
      await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'bill', role: 'billing' })
      const own = (context: RequestContext | null) =>
        context && hostAbility ? { ...context, ability: hostAbility } : context
      server = await target.listen({
        express(app, prefix) {
          const ours = rbac.context((req: Request) => identify(req.get('x-user')))
          const context = async (req: Request) => own(await ours(req))
          app.delete(`${prefix}/keys`, requirePermission(rbac, 'keys', 'delete', { context }), (req, res) => {
            const { tenantId, actor, ip } = contextOf(req) ?? {}
            res.json({ tenantId, actor, ip })
          })
          const row = (req: Request, context: RequestContext) => loadRow(context, req.params.id)
          app.delete(`${prefix}/keys/:id`, requirePermission(rbac, 'keys', 'delete', { context, row }), (_req, res) => {
            res.json({ done: true })
          })
        },
        koa(app, prefix) {
          const ours = rbac.context((ctx: Context) => identify(ctx.get('x-user') || undefined))
          const context = async (ctx: Context) => own(await ours(ctx))
          const router = new Router()
          router.delete(`${prefix}/keys`, requireOnKoa(rbac, 'keys', 'delete', { context }), (ctx) => {
            const { tenantId, actor, ip } = contextOf(ctx) ?? {}
            ctx.body = { tenantId, actor, ip }
          })
          const row = (ctx: Context, context: RequestContext) => loadRow(context, ctx.params.id)
          router.delete(`${prefix}/keys/:id`, requireOnKoa(rbac, 'keys', 'delete', { context, row }), (ctx) => {
            ctx.body = { done: true }
          })
          app.use(router.routes())
        },
      })
    })
    afterEach(() => server.close())

    it('lets pass who may, and hands the context to the handler', async () => {
      const { status, body } = await ask('dev', 'DELETE /keys')
      expect(status).toBe(200)
      expect(body).toMatchObject({ tenantId: 'default', actor: { type: 'user', id: 'dev' } })
      expect(body.ip).toMatch(/127\.0\.0\.1$/)
    })

    it('answers 401 to nobody and 403 to who may not, naming the action and the resource', async () => {
      const nobody = await ask(null, 'DELETE /keys', { body: { userId: 'dev', actor: { type: 'user', id: 'dev' } } })
      expect([nobody.status, nobody.body.code]).toEqual([401, 'unauthenticated'])
      for (const who of ['bill', 'stranger']) {
        const refused = await ask(who, 'DELETE /keys')
        expect(refused.status).toBe(403)
        expect(refused.headers.get('content-type')).toContain('application/problem+json')
        expect(refused.body).toMatchObject({ code: 'forbidden', action: 'delete', resource: 'keys' })
      }
    })

    it('follows a change of roles from the next request on', async () => {
      await rbac.assignments.unassign({ tenantId: 'default' }, { userId: 'dev', role: 'developer' })
      expect((await ask('dev', 'DELETE /keys')).status).toBe(403)
      await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'bill', role: 'admin' })
      expect((await ask('bill', 'DELETE /keys')).status).toBe(200)
    })

    it('waits for an identity that is looked up, and passes on what it says about the request', async () => {
      identify = async (userId) => (userId ? { userId, tenantId: 't2', ip: '203.0.113.7' } : null)
      expect((await ask('dev', 'DELETE /keys')).status).toBe(403)
      await rbac.assignments.assign({ tenantId: 't2' }, { userId: 'dev', role: 'developer' })
      expect((await ask('dev', 'DELETE /keys')).body).toMatchObject({ tenantId: 't2', ip: '203.0.113.7' })
      expect((await ask(null, 'DELETE /keys')).status).toBe(401)
    })

    it('takes an identity without a user for the mistake it is', async () => {
      for (const identity of [{}, { userId: '' }, { userId: 7 }, { userId: 'dev', tenantId: '' }]) {
        identify = () => identity as Identity
        const { status, body } = await ask('dev', 'DELETE /keys')
        expect([status, body.code]).toEqual([500, 'setup_error'])
        expect(body.detail).toContain('rbac.context')
      }
      identify = () => undefined as never
      expect((await ask('dev', 'DELETE /keys')).status).toBe(401)
    })

    it('shows no internals when the look-up fails', async () => {
      identify = () => Promise.reject(new Error('password=hunter2'))
      const { status, body } = await ask('dev', 'DELETE /keys?token=hunter3')
      expect([status, body.code]).toEqual([500, 'internal_error'])
      expect(JSON.stringify(body)).not.toContain('hunter2')
      expect(logger.entries.map(({ level }) => level)).toEqual(['error'])
      // A host's query may hold a token of its own.
      expect(logger.entries[0]?.fields.url).toMatch(/\/keys$/)
    })

    it('asks about the row, which must be there, and looks for it only if somebody may', async () => {
      expect((await ask('dev', 'DELETE /keys/k1')).body).toEqual({ done: true })
      const gone = await ask('dev', 'DELETE /keys/k9')
      expect([gone.status, gone.body.code]).toEqual([404, 'not_found'])
      expect((await ask('bill', 'DELETE /keys/k9')).status).toBe(403)
    })

    it('has a row looked for in the caller’s tenant, where another’s is not', async () => {
      const other = await ask('dev', 'DELETE /keys/k3')
      expect([other.status, other.body.code]).toEqual([404, 'not_found'])
      await rbac.assignments.assign({ tenantId: 't2' }, { userId: 'dev', role: 'developer' })
      identify = (userId) => (userId ? { userId, tenantId: 't2' } : null)
      expect((await ask('dev', 'DELETE /keys/k3')).status).toBe(200)
      expect((await ask('dev', 'DELETE /keys/k1')).status).toBe(404)
    })

    it('takes for a row nothing that is none, and shows nothing of a look-up that fails', async () => {
      for (const none of [[], [rows[0]], false, '', 0]) {
        loadRow = async () => none as object
        const { status, body } = await ask('dev', 'DELETE /keys/k1')
        expect([none, status, body.code]).toEqual([none, 500, 'setup_error'])
        expect(body.detail).toContain('`row`')
      }
      loadRow = () => Promise.reject(new Error('password=hunter2'))
      const failed = await ask('dev', 'DELETE /keys/k1')
      expect([failed.status, failed.body.code]).toEqual([500, 'internal_error'])
      expect(JSON.stringify(failed.body)).not.toContain('hunter2')
      loadRow = () => Promise.reject(coreErrors.not_found())
      expect((await ask('dev', 'DELETE /keys/k1')).status).toBe(404)
    })

    it('lets rules about rows decide by the row, and by nothing else', async () => {
      hostAbility = defineAbility((can) => can('delete', 'keys', { ownerId: 'dev' }))
      expect((await ask('dev', 'DELETE /keys/k1')).status).toBe(200)
      const other = await ask('dev', 'DELETE /keys/k2')
      expect(other.status).toBe(403)
      expect(other.body).toMatchObject({ code: 'forbidden', action: 'delete', resource: 'keys' })
      // CASL itself would say yes: some keys may be deleted.
      expect(hostAbility.can('delete', 'keys')).toBe(true)
      expect((await ask('dev', 'DELETE /keys')).status).toBe(403)
    })
  })
}

describe('set up', () => {
  it('fails at once without a context, or with names that the catalog does not have', () => {
    const rbac = createRbac({ logger, storage: memoryStorage() })
    const nothing = {} as { context: () => null }
    const setup = expect.objectContaining({ code: 'setup_error' })
    for (const make of [rbacRouter, koaRbacRouter]) expect(() => make(rbac, nothing)).toThrow(setup)
    for (const make of [requirePermission, requireOnKoa]) {
      expect(() => make(rbac, 'keys', 'read', nothing)).toThrow(setup)
      const withoutOptions = make as unknown as (on: typeof rbac, resource: string, action: string) => void
      expect(() => withoutOptions(rbac, 'keys', 'read')).toThrow(setup)
      expect(() => make(rbac, 'kyes' as 'keys', 'read', { context: () => null })).toThrow(
        'requirePermission("kyes", "read"): unknown value "kyes"; known values: keys, analytics',
      )
      expect(() => make(rbac, 'keys', 'raed' as 'read', { context: () => null })).toThrow('known values: create, read')
    }
  })

  it('says when a smaller catalog closes routes to everybody', () => {
    const logger = recordingLogger()
    const rbac = createRbac({ logger, storage: memoryStorage(), resources: { keys: ['read'], team: ['read'] } })
    expect(logger.entries).toEqual([])
    rbacRouter(rbac, { context: () => null })
    expect(logger.entries).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/does not have .*team:create, team:delete, .*audit:read\.$/) },
    ])
  })
})
