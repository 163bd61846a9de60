/** Erasure reaches a person wherever an entry names them, and nobody and nothing that is only called alike. */
import { memoryStorage as billingMemory, createBilling, defineCatalog } from '@org/billing'
import { isProblem } from '@org/core'
import { fakeClock, type OpenTarget } from '@org/core/testing'
import {
  createRbac,
  type ExportAudit,
  type Rbac,
  type RbacOptions,
  type RbacStorage,
  type RequestContext,
} from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const catalog = defineCatalog({ currency: 'usd', features: {}, meters: {}, plans: { free: { name: 'Free', rank: 0 } } })

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`erasure from the audit log on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let rbac: Rbac
    let tenants = 0
    let scope = { tenantId: '' }
    const clock = fakeClock()
    const hosted = (audit: RbacOptions<never>['audit'] = {}) =>
      createRbac({ storage: opened.storage, clock, logger, audit }) as unknown as Rbac

    beforeAll(async () => {
      opened = await open()
      rbac = hosted()
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      scope = { tenantId: `tenant ${++tenants}` }
    })

    const as = (id: string) => ({ ...scope, actor: { type: 'user' as const, id } })
    const entries = async (action?: string) => (await rbac.audit.query(scope, { limit: 100, action })).data
    const exported = async (filter: Omit<ExportAudit, 'format'>) => {
      const lines: string[] = []
      for await (const text of rbac.audit.export(as('bob'), { format: 'csv', ...filter })) lines.push(text)
    }
    /** Lets the work be refused as one of our routes would, so that the log says why. */
    const refused = async (by: string, routeId: string, work: Promise<unknown>) => {
      const error: unknown = await work.catch((thrown: unknown) => thrown)
      if (!isProblem(error)) throw new Error('It was not refused')
      const context = (await rbac.context(() => ({ ...scope, userId: by }))({})) as RequestContext
      await context.onDenied?.({ routeId, code: error.code, detail: error.detail }, {})
    }

    it('forgets a person in all that our own events say', async () => {
      const { assignments, audit, invites, keys, members, roles } = rbac
      await rbac.tenants.create(scope, { ownerId: 'ann' })
      for (const [userId, role] of Object.entries({ bob: 'owner', dave: 'admin', zoe: 'developer' })) {
        await members.add(scope, { userId, roles: [role] })
      }
      const { key } = await keys.create(as('ann'), { name: 'CI', scopes: ['keys:read'] })
      await keys.update(as('bob'), key.id, { name: 'CD' })
      const { invite } = await invites.create(as('ann'), { email: 'Eve@Evil.example', roles: ['developer'] })
      await invites.revoke(as('bob'), invite.id)
      const { token } = await invites.create(as('ann'), { link: {}, roles: ['developer'] })
      await invites.accept({ token, userId: 'yan' })
      await members.transferOwnership(as('ann'), { to: 'bob' })
      await exported({ user: 'ann' })
      await exported({ resourceType: 'member', resourceId: 'ann' })
      await exported({ resourceId: 'ann' })
      const rule = { effect: 'allow' as const, permission: 'billing:update' as const }
      await roles.create(as('bob'), { key: 'hers', rules: [{ ...rule, when: { ownerId: { $in: ['ann', 'zoe'] } } }] })
      await roles.create(as('bob'), { key: 'payer', rules: [{ ...rule, when: { payer: 'ann' } }] })
      await roles.create(as('bob'), { key: 'nodel', rules: [{ effect: 'deny', permission: 'keys:delete' }] })
      for (const role of ['billing', 'nodel']) await assignments.assign(as('bob'), { userId: 'ann', role })
      const deny = { userId: 'ann', role: 'nodel' }
      await refused('dave', 'rbac.unassignRole', assignments.unassign(as('dave'), deny))
      await members.suspend(as('bob'), 'ann')
      await refused('dave', 'rbac.reactivateMember', members.reactivate(as('dave'), 'ann'))
      await refused('dave', 'rbac.assignRole', assignments.assign(as('dave'), { userId: 'zoe', role: 'payer' }))
      await members.reactivate(as('bob'), 'ann')
      await members.remove(as('bob'), 'ann', { keysTo: 'zoe' })
      const billing = createBilling({ storage: billingMemory(), catalog, clock, logger, events: [audit.sink] })
      await billing.customers.create(scope, { email: 'ann@a.example', name: 'Acme' })

      // What is only called like them: a role, a search for a word, a key's name.
      await roles.create(as('bob'), { key: 'ann', permissions: ['billing:read'] })
      await assignments.assign(as('bob'), { userId: 'zoe', role: 'ann' })
      await refused('dave', 'rbac.assignRole', assignments.assign(as('dave'), { userId: 'dave', role: 'ann' }))
      await exported({ text: 'ann' })
      await exported({ resourceType: 'role', resourceId: 'ann' })
      await keys.create(as('bob'), { name: 'ann', scopes: ['keys:read'] })
      const alike = [
        'access.denied',
        'assignment.created',
        'audit.exported',
        'audit.exported',
        'key.created',
        'role.created',
      ]

      await audit.seal()
      const before = await entries()
      await audit.erase(scope, { userId: 'ann', emails: ['Ann@A.example'] })
      const after = await entries()
      const naming = after.filter((entry) => JSON.stringify(entry).match(/\bann\b/i))
      // The conditions of roles name their fields as the host does, and no option has said what `payer` holds.
      expect(naming.map(({ action }) => action).sort()).toEqual([...alike, 'role.created'].sort())
      for (const entry of naming) expect(entry).toEqual(before.find(({ id }) => id === entry.id))
      // Others are left alone: neither who was invited by somebody else nor what the same people did besides.
      for (const entry of before.filter((one) => !JSON.stringify(one).match(/\bann\b/i)))
        expect(after).toContainEqual(entry)
      await audit.seal()
      expect(await audit.verify(scope, { roots: true })).toMatchObject({ ok: true, unsealed: 0 })
      expect(await audit.erase(scope, { userId: 'ann', emails: ['ann@a.example'] })).toEqual({ who: 0, what: 0 })
      expect(await hosted({ userFields: ['payer'] }).audit.erase(scope, { userId: 'ann' })).toEqual({ who: 0, what: 1 })
      expect(await audit.verify(scope)).toMatchObject({ ok: true })
    })

    it('forgets an address, however it is spelled', async () => {
      const { invite } = await rbac.invites.create(scope, { email: 'Eve@Evil.Example', roles: ['read_only'] })
      await rbac.invites.resend(scope, invite.id)
      await rbac.invites.create(scope, { email: 'eve@münch.example', roles: ['read_only'] })
      await rbac.audit.log({ ...scope, action: 'mailed', data: { to: [' eve@xn--mnch-0ra.example'] } })
      await rbac.audit.log({ ...scope, action: 'kept', data: { text: 'eve@evil.example asked' } })
      await rbac.invites.create(scope, { email: 'steve@evil.example', roles: ['read_only'] })
      const emails = ['eVe@evil.eXample', 'Eve@MÜNCH.example']
      expect(await rbac.audit.erase(scope, { userId: 'eve', emails })).toEqual({ who: 0, what: 4 })
      expect(JSON.stringify(await entries())).not.toMatch(/" ?eve@(?!evil.example asked)/i)
      expect(await entries('invite.created')).toContainEqual(
        expect.objectContaining({ after: expect.objectContaining({ email: 'steve@evil.example' }) }),
      )
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true })
    })

    it('takes no sign in an id for a pattern, and a number for the same id', async () => {
      const id = 'a"b\\c%_!é'
      await rbac.audit.log({ ...scope, action: 'mine', data: { userId: id } })
      await rbac.audit.log({ ...scope, action: 'kept', data: { userId: 'a"b\\cxx!é' } })
      expect(await rbac.audit.erase(scope, { userId: id })).toEqual({ who: 0, what: 1 })
      await rbac.audit.log({ ...scope, action: 'mine', before: { user_id: 42 }, after: { assigned: [7], ownerId: 4 } })
      await rbac.audit.log({ ...scope, action: 'mine', data: { userIds: [7, 42] } })
      await rbac.audit.log({ ...scope, action: 'kept', data: { userId: 421, count: 42 } })
      expect(await rbac.audit.erase(scope, { userId: '42' })).toEqual({ who: 0, what: 2 })
      expect((await entries('mine')).map(({ erased }) => erased)).toEqual([['what'], ['what'], ['what']])
      expect((await entries('kept')).map(({ erased }) => erased)).toEqual([undefined, undefined])
    })
  })
}
