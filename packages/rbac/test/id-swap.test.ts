/**
 * Defect 2: another tenant's id in a path, a query or a body. Every route of the table is asked by the owner of one
 * tenant with the ids of another; a route that is not listed below fails the test.
 */
import type { Route } from '@org/core'
import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type Rbac, type RbacStorage } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { describe, expect, it } from 'vitest'
import { storages } from './storages.js'

/** Marks whatever belongs to the tenant that is asked about. */
const mark = 'alpha'

interface World {
  inviteId: string
  keyId: string
  roleKey: string
  userId: string
  ownerId: string
  version: number
  etag: string
}

interface Swap {
  params?: Record<string, string>
  query?: Record<string, string>
  body?: object
  headers?: Record<string, string>
  /** What the other tenant's owner gets; what the own owner gets shows that the ids are real. */
  expect: { other: number; own: number }
}

const missing = { other: 404, own: 200 }
const gone = { other: 404, own: 204 }
/** Without an id there is nothing to swap: the answer must be about the caller's own tenant. */
const ownOnly = { other: 200, own: 200 }

const swaps: Record<string, (alpha: World) => Swap> = {
  'rbac.me': () => ({ expect: ownOnly }),
  'rbac.checkPermission': ({ userId }) => ({
    body: { userId, resource: 'keys', action: 'read' },
    expect: ownOnly,
  }),
  'rbac.checkPermissions': ({ userId }) => ({
    body: { userId, checks: [{ resource: 'keys', action: 'read' }] },
    expect: ownOnly,
  }),
  'rbac.explainPermission': ({ userId }) => ({
    body: { userId, resource: 'keys', action: 'read', row: { ownerId: userId } },
    expect: ownOnly,
  }),
  'rbac.whoCan': () => ({ query: { resource: 'keys', action: 'read' }, expect: ownOnly }),
  'rbac.listRoles': () => ({ expect: ownOnly }),
  'rbac.getRole': ({ roleKey }) => ({ params: { key: roleKey }, expect: missing }),
  'rbac.createRole': () => ({ body: { key: 'fresh', permissions: ['keys:read'] }, expect: { other: 201, own: 201 } }),
  'rbac.updateRole': ({ roleKey }) => ({ params: { key: roleKey }, body: { name: 'Renamed' }, expect: missing }),
  'rbac.deleteRole': () => ({ params: { key: `${mark}_spare` }, expect: gone }),
  'rbac.listAssignments': ({ userId }) => ({ query: { userId }, expect: ownOnly }),
  'rbac.assignRole': ({ roleKey }) => ({ body: { userId: 'new', role: roleKey }, expect: { other: 422, own: 201 } }),
  'rbac.unassignRole': ({ userId }) => ({ query: { userId, role: 'developer' }, expect: gone }),
  'rbac.listMembers': () => ({ expect: ownOnly }),
  'rbac.addMember': ({ roleKey }) => ({
    body: { userId: 'new', roles: [roleKey] },
    expect: { other: 422, own: 201 },
  }),
  'rbac.getMember': ({ userId }) => ({ params: { userId }, expect: missing }),
  'rbac.setMemberRoles': ({ userId }) => ({ params: { userId }, body: { roles: [] }, expect: missing }),
  'rbac.suspendMember': ({ userId }) => ({ params: { userId }, expect: missing }),
  'rbac.reactivateMember': ({ userId }) => ({ params: { userId }, expect: missing }),
  'rbac.removeMember': ({ userId }) => ({ params: { userId }, expect: gone }),
  'rbac.leaveTeam': () => ({ expect: { other: 409, own: 409 } }),
  'rbac.transferOwnership': ({ userId }) => ({ body: { to: userId }, expect: gone }),
  'rbac.listTenants': () => ({ expect: ownOnly }),
  'rbac.getTenant': () => ({ expect: ownOnly }),
  'rbac.updateTenant': () => ({ body: { name: 'Renamed' }, expect: ownOnly }),
  'rbac.listInvites': () => ({ expect: ownOnly }),
  'rbac.createInvite': ({ roleKey }) => ({
    body: { email: 'new@example.com', roles: [roleKey] },
    expect: { other: 422, own: 201 },
  }),
  'rbac.getInvite': ({ inviteId }) => ({ params: { id: inviteId }, expect: missing }),
  'rbac.resendInvite': ({ inviteId }) => ({ params: { id: inviteId }, expect: missing }),
  'rbac.revokeInvite': ({ inviteId }) => ({ params: { id: inviteId }, expect: gone }),
  // The token is the right to join, whatever tenant the caller is in; an id is none.
  'rbac.acceptInvite': ({ inviteId }) => ({ body: { token: inviteId }, expect: { other: 404, own: 404 } }),
  'rbac.previewInvite': ({ inviteId }) => ({ body: { token: inviteId }, expect: { other: 404, own: 404 } }),
  'rbac.listKeys': () => ({ expect: ownOnly }),
  'rbac.createKey': () => ({ body: { name: 'New', scopes: ['keys:read'] }, expect: { other: 201, own: 201 } }),
  'rbac.getKey': ({ keyId }) => ({ params: { id: keyId }, expect: missing }),
  'rbac.updateKey': ({ keyId }) => ({ params: { id: keyId }, body: { name: 'Renamed' }, expect: missing }),
  'rbac.revokeKey': ({ keyId }) => ({ params: { id: keyId }, expect: gone }),
  'rbac.rotateKey': ({ keyId }) => ({ params: { id: keyId }, body: {}, expect: missing }),
  'rbac.listPolicies': () => ({ expect: ownOnly }),
  'rbac.getPolicy': ({ version }) => ({ params: { version: String(version) }, expect: missing }),
  'rbac.getPolicyDraft': () => ({ expect: missing }),
  'rbac.savePolicyDraft': () => ({ body: { roles: {} }, expect: ownOnly }),
  // The caller's own, saved just before.
  'rbac.discardPolicyDraft': () => ({ expect: { other: 204, own: 204 } }),
  'rbac.diffPolicies': ({ version }) => ({ query: { from: String(version), to: '1' }, expect: missing }),
  'rbac.testPolicy': ({ version }) => ({ body: { version }, expect: missing }),
  'rbac.publishPolicy': ({ etag }) => ({ body: {}, headers: { 'if-match': etag }, expect: { other: 412, own: 201 } }),
  'rbac.rollBackPolicy': () => ({ params: { version: '2' }, body: {}, expect: { other: 404, own: 201 } }),
  'rbac.simulatePermission': ({ userId, version }) => ({
    body: { userId, resource: 'keys', action: 'read', version },
    expect: missing,
  }),
  'rbac.queryAudit': () => ({ expect: ownOnly }),
  'rbac.exportAudit': () => ({ query: { format: 'jsonl' }, expect: ownOnly }),
  'rbac.verifyAudit': () => ({ expect: ownOnly }),
  'rbac.listActivity': () => ({ expect: ownOnly }),
}

/** A tenant with one of everything, each thing marked. */
async function furnish(rbac: Rbac): Promise<World> {
  const scope = { tenantId: mark, actor: { type: 'user' as const, id: `${mark}-olga` } }
  await rbac.tenants.create({ tenantId: mark }, { ownerId: `${mark}-olga`, name: `${mark} Inc.` })
  await rbac.roles.create(scope, { key: `${mark}_role`, name: `${mark} role`, permissions: ['keys:read'] })
  await rbac.roles.create(scope, { key: `${mark}_spare`, name: `${mark} spare`, permissions: ['keys:read'] })
  await rbac.members.add(scope, { userId: `${mark}-dev`, roles: ['developer'] })
  const { invite } = await rbac.invites.create(scope, { email: `${mark}@example.com`, roles: ['developer'] })
  const { key } = await rbac.keys.create(scope, { name: `${mark} key`, scopes: ['keys:read'] })
  const { data } = await rbac.policies.list(scope)
  const version = data[0]?.version ?? 0
  const roles = { [`${mark}_role`]: { permissions: ['keys:read', 'keys:update'] }, [`${mark}_spare`]: {} }
  const { etag } = await rbac.policies.draft(scope, { roles })
  const ids = { inviteId: invite.id, keyId: key.id, userId: `${mark}-dev`, ownerId: `${mark}-olga` }
  return { ...ids, roleKey: `${mark}_role`, version, etag }
}

/** All that can be seen of a tenant. */
async function portrait(rbac: Rbac, tenantId: string) {
  const scope = { tenantId }
  return JSON.stringify([
    await rbac.tenants.get(scope),
    await rbac.members.list(scope),
    await rbac.assignments.list(scope),
    await rbac.roles.list(scope),
    await rbac.invites.list(scope),
    await rbac.keys.list(scope),
    await rbac.policies.list(scope),
    await rbac.policies.getDraft(scope),
    await rbac.audit.query(scope, { limit: 250 }),
  ])
}

const beta = { tenantId: 'beta', userId: 'bob' }

/** Asks a route with what a swap says, and answers what came back as text. */
async function ask(server: HttpServer, who: { userId: string; tenantId: string }, route: Route, swap: Swap) {
  const { params = {}, query = {}, body, headers } = swap
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? `no ${name}`))
  const search = new URLSearchParams(query).toString()
  const response = await fetch(`${server.url}${path}${search && `?${search}`}`, {
    method: route.method,
    headers: {
      'x-user': who.userId,
      'x-tenant': who.tenantId,
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text() }
}

/** What was sent may come back: it says nothing of the other tenant. */
function withoutEcho(text: string, { body, query, params }: Swap): string {
  const sent = [JSON.stringify(body ?? ''), ...Object.values(query ?? {}), ...Object.values(params ?? {})]
  const words = sent.flatMap((part) => part.match(/[\w@.-]+/g) ?? []).filter((word) => word.includes(mark))
  return words.reduce((rest, word) => rest.replaceAll(word, ''), text)
}

async function listen(rbac: Rbac, framework: string): Promise<HttpServer> {
  const target = httpTargets().find(({ name }) => name === `${framework} / without a body parser`)
  if (!target) throw new Error('no such target')
  const identity = (userId = '', tenantId = '') => (userId ? { userId, tenantId } : null)
  return target.listen(
    mounted(rbac.http, {
      express: () => rbacRouter(rbac, { context: rbac.context((q) => identity(q.get('x-user'), q.get('x-tenant'))) }),
      koa: () => koaRbacRouter(rbac, { context: rbac.context((c) => identity(c.get('x-user'), c.get('x-tenant'))) }),
    }),
  )
}

function make(storage: RbacStorage): Rbac {
  const logger = recordingLogger()
  return createRbac({ storage, clock: fakeClock(), logger, invites: { verifiedEmails: async () => [] } })
}

function swapOf(id: string, world: World): Swap {
  const swap = swaps[id]?.(world)
  if (!swap) throw new Error(`${id} is not in the matrix`)
  return swap
}

for (const { name, missing: absent, open } of await storages()) {
  describe.skipIf(absent)(`two tenants on ${name}`, () => {
    for (const framework of ['express', 'koa']) {
      it(`defect 2: no route of ${framework} reaches into another tenant`, { timeout: 60_000 }, async () => {
        const opened = await open({ pool: 1 })
        const rbac = make(opened.storage)
        const server = await listen(rbac, framework)
        const world = await furnish(rbac)
        await rbac.tenants.create({ tenantId: beta.tenantId }, { ownerId: beta.userId, name: 'Beta' })
        const before = await portrait(rbac, mark)
        for (const route of rbac.http.routes) {
          const swap = swapOf(route.id, world)
          const { status, text } = await ask(server, beta, route, swap)
          expect([route.id, status, text]).toEqual([route.id, swap.expect.other, text])
          expect(withoutEcho(text, swap), route.id).not.toContain(mark)
        }
        expect(await portrait(rbac, mark)).toBe(before)
        await server.close()
        await opened.close()
      })
    }
  })
}

describe('the matrix', () => {
  it('asks with ids that are real: their own tenant’s owner gets through', async () => {
    const known = make(memoryStorage()).http.routes.map(({ id }) => id)
    expect(Object.keys(swaps).sort()).toEqual([...known].sort())
    for (const id of known) {
      const rbac = make(memoryStorage())
      const server = await listen(rbac, 'express')
      const world = await furnish(rbac)
      const route = rbac.http.routes.find((one) => one.id === id)
      if (!route) throw new Error('no such route')
      const swap = swapOf(id, world)
      const { status, text } = await ask(server, { userId: world.ownerId, tenantId: mark }, route, swap)
      expect([id, status, text]).toEqual([id, swap.expect.own, text])
      await server.close()
    }
  })
})
