/** Ways by which somebody could end up with more than they held, alone or with an accomplice: each is refused. */
import type { Actor } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import {
  createRbac,
  defineResources,
  memoryStorage,
  type Permission,
  type PolicyDocument,
  predefinedResources,
  type RbacStorage,
} from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({ ...predefinedResources, posts: ['read', 'update', 'delete'] } as const)
const user = (id: string): Actor => ({ type: 'user', id })
const day = 86_400_000

/** May do all with posts and run roles, policies and the team. */
const editor = { permissions: ['posts:*', 'roles:*', 'policies:*', 'team:*'] }
const noDelete = { rules: [{ effect: 'deny' as const, permission: 'posts:delete' as const }] }
const held: PolicyDocument['roles'] = { editor, nodel: noDelete }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`escalation on ${name}`, () => {
    const clock = fakeClock()
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger, clock, resources })
    let rbac: ReturnType<typeof make>
    let tenantId: string
    let count = 0

    const scope = () => ({ tenantId })
    const as = (id: string) => ({ tenantId, actor: user(id) })
    const give = (userId: string, role: string, more: object = {}) =>
      rbac.assignments.assign(scope(), { userId, role, ...more })
    const mayDelete = (userId: string, more: object = {}) =>
      rbac.checkPermission(userId, 'posts', 'delete', { tenantId, ...more })
    const put = async (roles: PolicyDocument['roles'], by: { tenantId: string; actor?: Actor } = scope()) => {
      const { etag } = await rbac.policies.draft(by, { roles })
      return rbac.policies.publish(by, { ifMatch: etag })
    }
    const refused = { code: 'exceeds_own_rights' }

    beforeAll(async () => {
      opened = await open()
      rbac = make(opened.storage)
    })
    afterAll(() => opened.close())
    beforeEach(async () => {
      tenantId = `t${++count}`
      await give('olga', 'owner')
      await put(held)
      // Eve may do all with posts, but for what is denied to her.
      await give('eve', 'editor')
      await give('eve', 'nodel')
    })

    describe('a deny that a role has', () => {
      it('is not lifted by whoever it holds down, in one step or through the policy', async () => {
        const { roles, policies } = rbac
        const attempts: [what: string, attempt: () => Promise<unknown>][] = [
          ['emptied', () => roles.update(as('eve'), 'nodel', { rules: [] })],
          ['over some rows', () => roles.update(as('eve'), 'nodel', { rules: [narrowed({ when: { id: 'x' } })] })],
          ['over some fields', () => roles.update(as('eve'), 'nodel', { rules: [narrowed({ fields: ['title'] })] })],
          ['of another action', () => roles.update(as('eve'), 'nodel', { rules: [narrowed({}, 'posts:read')] })],
          ['published', () => put({ ...held, nodel: { rules: [] } }, as('eve'))],
          ['deleted', () => roles.delete(as('eve'), 'nodel')],
        ]
        for (const [what, attempt] of attempts) {
          const code = what === 'deleted' ? 'role_in_use' : 'exceeds_own_rights'
          await expect(attempt(), what).rejects.toMatchObject({ code })
        }
        await policies.discardDraft(scope())
        await rbac.roles.update(as('olga'), 'nodel', { rules: [narrowed({}, 'posts:read')] })
        await put(held)
        const [, before] = (await policies.list(scope())).data
        await expect(policies.rollback(as('eve'), { version: before?.version ?? 0 })).rejects.toMatchObject(refused)
        expect(await mayDelete('eve')).toBe(false)
      })

      it('is not lifted by what the role inherits', async () => {
        await put({ editor, base: noDelete, nodel: { inherits: ['base'] }, other: {} })
        const { roles } = rbac
        await expect(roles.update(as('eve'), 'nodel', { inherits: [] })).rejects.toMatchObject(refused)
        await expect(roles.update(as('eve'), 'nodel', { inherits: ['other'] })).rejects.toMatchObject(refused)
        await expect(roles.update(as('eve'), 'base', { rules: [] })).rejects.toMatchObject(refused)
        await roles.update(as('eve'), 'nodel', { ...noDelete, inherits: [] })
        expect(await mayDelete('eve')).toBe(false)
      })

      it('is lifted off somebody else by those only who hold what it denied', async () => {
        await put({ ...held, writer: { permissions: ['posts:read', 'posts:update', 'roles:*'] } })
        await give('wes', 'writer')
        await expect(rbac.roles.update(as('wes'), 'nodel', { rules: [] })).rejects.toMatchObject({
          ...refused,
          extensions: { missing: ['posts:delete'] },
        })
        await rbac.roles.update(as('olga'), 'nodel', { rules: [] })
        expect(await mayDelete('eve')).toBe(true)
      })

      it('may be made wider or said in other words', async () => {
        const wider = [{ effect: 'deny', permission: 'posts:*' }] as const
        await rbac.roles.update(as('eve'), 'nodel', { rules: wider })
        expect(await rbac.getUserPermissions('eve', scope())).not.toContain('posts:read')
      })
    })

    it('a deny that ends does not stand in for one that lasts', async () => {
      await put({ ...held, pause: noDelete })
      await give('eve', 'pause', { expiresAt: clock.now() + 1000 })
      const { assignments, members } = rbac
      await expect(assignments.unassign(as('eve'), { userId: 'eve', role: 'nodel' })).rejects.toMatchObject(refused)
      const soon = { userId: 'eve', role: 'nodel', expiresAt: clock.now() + 1000 }
      await expect(assignments.assign(as('eve'), soon)).rejects.toMatchObject(refused)
      await expect(members.setRoles(as('eve'), 'eve', { roles: ['editor'] })).rejects.toMatchObject(refused)
      await clock.advance(2000)
      expect(await mayDelete('eve')).toBe(false)
    })

    it('a deny that lasts as long as the actor’s own stands in for it', async () => {
      await give('bea', 'editor')
      await give('bea', 'nodel', { expiresAt: clock.now() + day })
      await put({ ...held, both: { ...editor, ...noDelete } })
      const both = { userId: 'cy', role: 'both' }
      await rbac.assignments.assign(as('bea'), { ...both, expiresAt: clock.now() + 1000 })
      await rbac.assignments.assign(as('bea'), { ...both, expiresAt: clock.now() + 2 * day })
      await clock.advance(3 * day)
    })

    it('somebody who is suspended is not let back in above the actor because of a deny over one thing', async () => {
      await give('ann', 'editor')
      await give('ann', 'nodel', { on: { resource: 'posts', id: 'p1' } })
      await rbac.members.suspend(as('eve'), 'ann')
      await expect(rbac.members.reactivate(as('eve'), 'ann')).rejects.toMatchObject(refused)
      await rbac.members.reactivate(as('olga'), 'ann')
      expect(await mayDelete('ann', { row: { id: 'p2' } })).toBe(true)
    })

    it('nor because of a deny that ends sooner than what they hold', async () => {
      await give('ann', 'editor')
      await give('ann', 'nodel', { expiresAt: clock.now() + 1000 })
      await rbac.members.suspend(as('eve'), 'ann')
      await expect(rbac.members.reactivate(as('eve'), 'ann')).rejects.toMatchObject(refused)
    })

    it('defect 3: an owner is not held down by whoever is denied the very same', async () => {
      await put({ ...held, vice: { permissions: ['*'] }, nobill: { rules: [narrowed({}, 'billing:*')] } })
      await give('vic', 'vice')
      await give('vic', 'nobill')
      await expect(rbac.assignments.assign(as('vic'), { userId: 'olga', role: 'nobill' })).rejects.toMatchObject(
        refused,
      )
      expect(await rbac.checkPermission('olga', 'billing', 'update', scope())).toBe(true)
    })

    it('whoever is suspended does not leave, to come back by a link', async () => {
      const { token } = await rbac.invites.create(scope(), { link: {}, roles: ['editor'] })
      await rbac.members.suspend(scope(), 'eve')
      await expect(rbac.members.leave(as('eve'))).rejects.toMatchObject({ code: 'member_suspended' })
      await expect(rbac.invites.accept({ token, userId: 'eve' })).rejects.toMatchObject({ code: 'already_member' })
      expect(await rbac.members.get(scope(), 'eve')).toMatchObject({ status: 'suspended' })
    })
  })
}

describe('without storage', () => {
  it('many roles that inherit many rules are compared with many in a moment', async () => {
    const rbac = createRbac({ storage: memoryStorage(), logger, resources })
    const scope = { tenantId: 't' }
    const rules = Array.from({ length: 490 }, (_, i) => ({
      ...{ effect: 'allow' as const, permission: 'posts:update', when: { id: String(i) } },
    }))
    const heirs = (permission: string) =>
      Object.fromEntries(
        Array.from({ length: 100 }, (_, i) => [`heir${i}`, { inherits: ['base'], permissions: [permission] }]),
      )
    const put = async (permission: string, by: { tenantId: string; actor?: Actor }) => {
      const { etag } = await rbac.policies.draft(by, { roles: { base: { rules }, editor, ...heirs(permission) } })
      await rbac.policies.publish(by, { ifMatch: etag })
    }
    await put('roles:read', scope)
    for (const role of ['base', 'editor']) await rbac.assignments.assign(scope, { userId: 'eve', role })
    await put('roles:update', { ...scope, actor: user('eve') })
  }, 20_000)
})

/** The deny, over less. */
function narrowed(less: object, permission: Permission<typeof resources> = 'posts:delete') {
  return { effect: 'deny' as const, permission, ...less }
}
