import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type Rbac } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const logger = recordingLogger()
const at = '2026-01-01T00:00:00.000Z'

for (const target of httpTargets()) {
  describe(`the team over HTTP on ${target.name}`, () => {
    let rbac: Rbac
    let server: HttpServer
    const ask = client(() => server.url)
    const outcome = async (who: string | null, request: string, body?: object) => {
      const answer = await ask(who, request, { body })
      return [answer.status, answer.body?.code]
    }

    beforeEach(async () => {
      rbac = createRbac({ storage: memoryStorage(), clock: fakeClock(), logger })
      await rbac.tenants.create({ tenantId: 'acme' }, { ownerId: 'olga', name: 'Acme Inc.' })
      await rbac.tenants.create({ tenantId: 'globex' }, { ownerId: 'gus' })
      for (const [userId, role] of [
        ['adam', 'admin'],
        ['dev', 'developer'],
      ] as const) {
        await rbac.members.add({ tenantId: 'acme' }, { userId, roles: [role] })
      }
      const identity = (userId = '', tenantId = '') => (userId ? { userId, tenantId } : null)
      const host = mounted(rbac.http, {
        express: () => rbacRouter(rbac, { context: rbac.context((q) => identity(q.get('x-user'), q.get('x-tenant'))) }),
        koa: () => koaRbacRouter(rbac, { context: rbac.context((c) => identity(c.get('x-user'), c.get('x-tenant'))) }),
      })
      server = await target.listen(host)
    })
    afterEach(() => server.close())

    it('members are added, listed, given roles, suspended and removed', async () => {
      const shown = { userId: 'new', status: 'active', roles: ['developer'], createdAt: at }
      const added = await ask('adam', 'POST /members', { body: { userId: 'new', roles: ['developer'] } })
      expect([added.status, added.body]).toEqual([201, shown])
      expect((await ask('adam', 'GET /members/new')).body).toEqual(shown)
      const page = (await ask('adam', 'GET /members?limit=2')).body
      expect(page.data).toEqual([shown, { ...shown, userId: 'dev' }])
      expect((await ask('adam', `GET /members?limit=2&cursor=${page.next}`)).body).toMatchObject({
        ...{ data: [{ userId: 'adam' }, { userId: 'olga' }], next: null },
      })
      const set = await ask('adam', 'PUT /members/new/roles', { body: { roles: ['admin'] } })
      expect([set.status, set.body]).toEqual([200, { ...shown, roles: ['admin'] }])
      const suspended = await ask('adam', 'POST /members/new/suspend')
      expect([suspended.status, suspended.body.status]).toEqual([200, 'suspended'])
      expect(await outcome('new', 'GET /members')).toEqual([403, 'forbidden'])
      expect((await ask('adam', 'GET /members?status=suspended')).body.data).toHaveLength(1)
      expect((await ask('adam', 'POST /members/new/reactivate', { body: {} })).body.status).toBe('active')
      const gone = await ask('adam', 'DELETE /members/new')
      expect([gone.status, gone.body]).toEqual([204, undefined])
      expect(await outcome('adam', 'GET /members/new')).toEqual([404, 'not_found'])
    })

    it('ownership moves, and people leave, but never the last owner', async () => {
      expect(await outcome('olga', 'POST /leave')).toEqual([409, 'last_owner'])
      expect(await outcome('olga', 'DELETE /members/olga')).toEqual([409, 'last_owner'])
      expect(await outcome('olga', 'POST /members/olga/suspend')).toEqual([409, 'last_owner'])
      expect(await outcome('olga', 'PUT /members/olga/roles', { roles: ['admin'] })).toEqual([409, 'last_owner'])
      expect(await outcome('olga', 'POST /ownership/transfer', { to: 'nobody' })).toEqual([404, 'not_found'])
      expect(await outcome('adam', 'POST /ownership/transfer', { to: 'adam' })).toEqual([409, 'not_owner'])
      expect(await outcome('olga', 'POST /ownership/transfer', { to: 'dev' })).toEqual([204, undefined])
      expect((await ask('dev', 'GET /me')).body.roles.sort()).toEqual(['developer', 'owner'])
      expect(await outcome('olga', 'POST /leave')).toEqual([204, undefined])
      expect(await outcome('olga', 'POST /leave')).toEqual([404, 'not_found'])
    })

    it('defect 3: an admin does not reach an owner', async () => {
      for (const [request, body] of [
        ['PUT /members/olga/roles', { roles: ['developer'] }],
        ['PUT /members/adam/roles', { roles: ['owner'] }],
        ['POST /members/olga/suspend', undefined],
        ['DELETE /members/olga', undefined],
        ['POST /ownership/transfer', { from: 'olga', to: 'adam' }],
        ['POST /members', { userId: 'new', roles: ['owner'] }],
      ] as const) {
        expect([request, ...(await outcome('adam', request, body))]).toEqual([request, 403, 'exceeds_own_rights'])
      }
      expect((await ask('olga', 'GET /me')).body.roles).toEqual(['owner'])
    })

    it('defect 1: who leaves is whoever is signed in', async () => {
      expect(await outcome('dev', 'POST /leave', { userId: 'olga' })).toEqual([422, 'invalid_input'])
      expect(await outcome(null, 'POST /leave', { userId: 'olga' })).toEqual([401, 'unauthenticated'])
    })

    it('the tenant is shown and renamed, and all of one’s own are listed', async () => {
      expect((await ask('adam', 'GET /tenant')).body).toEqual({ tenantId: 'acme', name: 'Acme Inc.', createdAt: at })
      expect((await ask('adam', 'PATCH /tenant', { body: { name: 'New' } })).body).toMatchObject({ name: 'New' })
      expect(await outcome('dev', 'PATCH /tenant', { name: 'Mine' })).toEqual([403, 'forbidden'])
      await rbac.members.add({ tenantId: 'globex' }, { userId: 'adam', roles: ['billing'] })
      // From whichever tenant they are in.
      for (const who of ['adam', 'adam@nowhere']) {
        expect((await ask(who, 'GET /tenants')).body).toEqual({
          data: [
            { tenantId: 'globex', name: null, status: 'active', roles: ['billing'] },
            { tenantId: 'acme', name: 'New', status: 'active', roles: ['admin'] },
          ],
          next: null,
        })
      }
    })
  })
}
