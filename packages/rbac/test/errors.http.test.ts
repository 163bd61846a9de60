/** Errors that a route declares and that no other contract brings about; the server sees to it that they are declared. */
import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type PolicyDocument, predefinedRoles } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const scope = { tenantId: 'acme' }
const roles = {
  ...predefinedRoles,
  manager: { permissions: ['team:*', 'roles:*', 'policies:*', 'keys:read'] },
} as const
const editor = (...permissions: string[]) => ({ roles: { editor: { permissions } } })

function world() {
  const options = { storage: memoryStorage(), clock: fakeClock(), logger: recordingLogger() }
  const rbac = createRbac({ ...options, roles })
  /** Publishes in the name of the host; answers the version. */
  const publish = async (document: object, by: Pick<typeof rbac, 'policies'> = rbac) => {
    const { etag } = await by.policies.draft(scope, document as PolicyDocument)
    return (await by.policies.publish(scope, { ifMatch: etag })).version
  }
  return {
    ...{ rbac, clock: options.clock, publish },
    /** Olga owns the tenant by a role of its own, and by nothing else. */
    async boss(): Promise<void> {
      await publish({ roles: { boss: { permissions: ['keys:read'] } } })
      await publish({ roles: { boss: { permissions: ['*'] } } })
      await rbac.assignments.assign(scope, { userId: 'olga', role: 'boss' })
      await rbac.assignments.unassign(scope, { userId: 'olga', role: 'owner' })
    },
    /** A test of the policy held for a role of the host's, which has fewer rights by now. */
    async outgrown(): Promise<number> {
      const old = createRbac({ ...options, roles: { ...roles, manager: { permissions: ['*'] } } })
      const tests = [{ name: 'pays', roles: ['manager'], permission: 'billing:read', expect: 'allow' }]
      return publish({ ...editor('keys:read'), tests }, old)
    },
    /** What was published while the host had a role `base`, which it has no more. */
    withdrawn: (document: object) =>
      publish(document, createRbac({ ...options, roles: { ...roles, base: { permissions: ['keys:read'] } } })),
    suspend: (userId: string) => rbac.members.suspend(scope, userId),
    invite: async (role: string, more: object = {}) =>
      (await rbac.invites.create(scope, { email: 'ann@acme.com', roles: [role], ...more })).invite.id,
    key: async () => (await rbac.keys.create(scope, { name: 'CI', scopes: ['billing:read'] })).key.id,
  }
}

type World = ReturnType<typeof world>
type Asked = [who: string, request: string, body?: object, headers?: Record<string, string>]

/** By route and code: what has to be so, and what is asked then. */
const cases: Record<string, (world: World) => Promise<Asked>> = {
  async 'rbac.createRole policy_tests_failed'({ outgrown }) {
    await outgrown()
    return ['olga', 'POST /roles', { key: 'fresh', permissions: [] }]
  },
  async 'rbac.createRole last_owner'({ boss, withdrawn }) {
    await boss()
    await withdrawn({ roles: { boss: { permissions: ['*'], inherits: ['base'] } } })
    const rules = [{ effect: 'deny', permission: 'keys:delete' }]
    return ['olga', 'POST /roles', { key: 'base', permissions: [], rules }]
  },
  async 'rbac.updateRole policy_tests_failed'({ publish }) {
    const tests = [{ name: 'reads', roles: ['editor'], permission: 'keys:read', expect: 'allow' }]
    await publish({ ...editor('keys:read'), tests })
    return ['olga', 'PATCH /roles/editor', { permissions: [] }]
  },
  async 'rbac.updateRole last_owner'({ boss }) {
    await boss()
    return ['olga', 'PATCH /roles/boss', { permissions: ['keys:read'] }]
  },
  async 'rbac.deleteRole policy_tests_failed'({ outgrown }) {
    await outgrown()
    return ['olga', 'DELETE /roles/editor']
  },
  async 'rbac.deleteRole exceeds_own_rights'({ publish }) {
    await publish(editor('billing:read'))
    return ['mia', 'DELETE /roles/editor']
  },
  async 'rbac.publishPolicy last_owner'({ boss, rbac }) {
    await boss()
    const { etag } = await rbac.policies.draft(scope, { roles: { boss: { permissions: [] } } })
    return ['olga', 'POST /policies/publish', {}, { 'if-match': etag }]
  },
  async 'rbac.rollBackPolicy exceeds_own_rights'({ publish }) {
    const version = await publish(editor('billing:read'))
    await publish(editor('keys:read'))
    return ['mia', `POST /policies/${version}/rollback`]
  },
  async 'rbac.rollBackPolicy last_owner'({ boss }) {
    await boss()
    return ['olga', 'POST /policies/1/rollback']
  },
  async 'rbac.rollBackPolicy role_in_use'({ publish, rbac }) {
    const version = await publish({ roles: {} })
    await publish(editor('keys:read'))
    await rbac.assignments.assign(scope, { userId: 'dev', role: 'editor' })
    return ['olga', `POST /policies/${version}/rollback`]
  },
  async 'rbac.rollBackPolicy policy_tests_failed'({ outgrown }) {
    return ['olga', `POST /policies/${await outgrown()}/rollback`]
  },
  async 'rbac.assignRole last_owner'() {
    return ['olga', 'POST /assignments', { userId: 'olga', role: 'owner', expiresAt: '2099-01-01T00:00:00Z' }]
  },
  async 'rbac.addMember already_member'() {
    return ['olga', 'POST /members', { userId: 'dev' }]
  },
  async 'rbac.reactivateMember exceeds_own_rights'({ rbac, suspend }) {
    await rbac.assignments.assign(scope, { userId: 'otto', role: 'owner' })
    await suspend('otto')
    return ['mia', 'POST /members/otto/reactivate']
  },
  async 'rbac.removeMember member_suspended'({ suspend }) {
    await suspend('dev')
    return ['olga', 'DELETE /members/mia?keysTo=dev']
  },
  async 'rbac.leaveTeam member_suspended'({ suspend }) {
    await suspend('dev')
    return ['dev', 'POST /leave']
  },
  async 'rbac.transferOwnership member_suspended'({ suspend }) {
    await suspend('dev')
    return ['olga', 'POST /ownership/transfer', { to: 'dev' }]
  },
  async 'rbac.acceptInvite invite_void'({ rbac }) {
    const mia = { ...scope, actor: { type: 'user' as const, id: 'mia' } }
    const { token } = await rbac.invites.create(mia, { link: {}, roles: ['manager'] })
    await rbac.members.remove(scope, 'mia')
    return ['ann', 'POST /invites/accept', { token }]
  },
  async 'rbac.resendInvite invite_closed'({ rbac, invite }) {
    const id = await invite('developer')
    await rbac.invites.revoke(scope, id)
    return ['olga', `POST /invites/${id}/resend`]
  },
  async 'rbac.resendInvite invite_void'({ rbac, clock, publish, invite }) {
    await publish(editor('keys:read'))
    const id = await invite('editor', { expiresInMs: 60_000 })
    clock.advance(60_001)
    await rbac.roles.delete(scope, 'editor')
    return ['olga', `POST /invites/${id}/resend`]
  },
  async 'rbac.resendInvite exceeds_own_rights'({ invite }) {
    return ['mia', `POST /invites/${await invite('owner')}/resend`]
  },
  async 'rbac.resendInvite already_invited'({ clock, invite }) {
    const id = await invite('developer', { expiresInMs: 60_000 })
    clock.advance(60_001)
    await invite('developer')
    return ['olga', `POST /invites/${id}/resend`]
  },
  async 'rbac.updateKey exceeds_own_rights'({ key }) {
    return ['dev', `PATCH /keys/${await key()}`, { scopes: ['billing:*'] }]
  },
  async 'rbac.updateKey key_revoked'({ rbac, key }) {
    const id = await key()
    await rbac.keys.revoke(scope, id)
    return ['olga', `PATCH /keys/${id}`, { name: 'New' }]
  },
  async 'rbac.rotateKey exceeds_own_rights'({ key }) {
    return ['dev', `POST /keys/${await key()}/rotate`, {}]
  },
  async 'rbac.getTenant not_found'() {
    return ['root@nowhere', 'GET /tenant']
  },
  async 'rbac.updateTenant not_found'() {
    return ['root@nowhere', 'PATCH /tenant', { name: 'New' }]
  },
}

for (const target of httpTargets().filter(({ name }) => name.includes(' / without'))) {
  describe(`declared errors on ${target.name}`, () => {
    let made: World
    let server: HttpServer
    const ask = client(() => server.url)

    beforeEach(async () => {
      made = world()
      const { rbac } = made
      const members = { olga: 'owner', mia: 'manager', dev: 'developer' }
      for (const [userId, role] of Object.entries(members)) await rbac.assignments.assign(scope, { userId, role })
      const ours = rbac.context(({ userId = '', tenantId = '' }: { userId?: string; tenantId?: string }) =>
        userId ? { userId, tenantId } : null,
      )
      /** A host may give rights of its own, where nobody has a role. */
      const context = async (userId = '', tenantId = '') =>
        userId === 'root'
          ? { tenantId, actor: { type: 'user' as const, id: userId }, ability: { can: () => true } }
          : ours({ userId, tenantId })
      server = await target.listen(
        mounted(rbac.http, {
          express: () => rbacRouter(rbac, { context: (q) => context(q.get('x-user'), q.get('x-tenant')) }),
          koa: () => koaRbacRouter(rbac, { context: (c) => context(c.get('x-user'), c.get('x-tenant')) }),
        }),
      )
    })
    afterEach(() => server.close())

    for (const [name, prepare] of Object.entries(cases)) {
      it(name, async () => {
        const [who, request, body, headers] = await prepare(made)
        const answer = await ask(who, request, { ...(body && { body }), ...(headers && { headers }) })
        expect(answer.body).toMatchObject({ code: name.split(' ')[1] })
      })
    }
  })
}
