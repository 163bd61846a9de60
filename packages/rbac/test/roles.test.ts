/** A tenant's own roles, one by one, on every storage. */
import type { Actor } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, defineResources, predefinedResources, predefinedRoles, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({ ...predefinedResources, posts: ['read', 'update', 'delete'] } as const)
const user = (id: string): Actor => ({ type: 'user', id })
const rounds = 10

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`a tenant's own roles on ${name}`, () => {
    const clock = fakeClock()
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger, clock, resources })
    let rbac: ReturnType<typeof make>
    let there: ReturnType<typeof make>
    let tenantId: string
    let count = 0

    beforeAll(async () => {
      opened = await open()
      rbac = make(opened.storage)
      there = make(opened.second())
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `t${++count}`
    })

    const scope = () => ({ tenantId })
    const give = (userId: string, role: string, more: object = {}) =>
      rbac.assignments.assign(scope(), { userId, role, ...more })
    const versions = async () => (await rbac.policies.list(scope(), { limit: 250 })).data.length
    const log = async () =>
      (await rbac.audit.query(scope(), { limit: 250 })).data.filter(({ action }) => /^(role|policy)\./.test(action))

    it('stand beside the host’s, and are this tenant’s only', async () => {
      const when = { authorId: { var: 'userId' as const } }
      const support = await rbac.roles.create(scope(), {
        ...{ key: 'support', name: 'Support', description: 'Helps', inherits: ['read_only'] },
        ...{ permissions: ['posts:read', 'posts:read'], rules: [{ effect: 'allow', permission: 'posts:*', when }] },
      })
      expect(support).toEqual({
        ...{ id: expect.stringMatching(/^rol_/), key: 'support', name: 'Support', description: 'Helps', custom: true },
        ...{ inherits: ['read_only'], permissions: ['posts:read'] },
        rules: [{ effect: 'allow', permission: 'posts:*', when }],
      })
      expect(await rbac.roles.get(scope(), 'support')).toEqual(support)
      const { data, next } = await rbac.roles.list(scope())
      expect([data.map(({ key, custom }) => [key, custom]), next]).toEqual([
        [...Object.keys(predefinedRoles).map((key) => [key, false]), ['support', true]],
        null,
      ])
      expect((await rbac.roles.list({ tenantId: 'other' })).data.map(({ key }) => key)).not.toContain('support')
      const elsewhere = rbac.assignments.assign({ tenantId: 'other' }, { userId: 'ann', role: 'support' })
      await expect(elsewhere).rejects.toMatchObject({ code: 'invalid_input' })

      await give('ann', 'support')
      expect(await rbac.getUserPermissions('ann', scope())).toContain('billing:read')
      expect(await rbac.checkPermission('ann', 'posts', 'delete', { tenantId, row: { authorId: 'ann' } })).toBe(true)
      expect(await rbac.checkPermission('ann', 'posts', 'delete', { tenantId, row: { authorId: 'bob' } })).toBe(false)
    })

    it('are changed for all who have them, field by field, as one version and one event each', async () => {
      const { id } = await rbac.roles.create(scope(), {
        key: 'support',
        description: 'Helps',
        permissions: ['posts:read'],
      })
      await give('ann', 'support')
      const renamed = await rbac.roles.update(scope(), 'support', { name: 'Help desk' })
      expect(renamed).toMatchObject({
        id,
        key: 'support',
        name: 'Help desk',
        description: 'Helps',
        permissions: ['posts:read'],
      })
      await rbac.roles.update(scope(), 'support', { permissions: ['posts:update'], description: null })
      expect(await rbac.roles.get(scope(), 'support')).toMatchObject({ id, name: 'Help desk', description: null })
      expect(await rbac.getUserPermissions('ann', scope())).toEqual(['posts:update'])

      // What is so already makes no version.
      const same = await rbac.roles.update(scope(), 'support', { name: 'Help desk', permissions: ['posts:update'] })
      expect(same.id).toBe(id)
      await rbac.roles.update(scope(), 'support', {})
      expect(await versions()).toBe(3)

      await rbac.assignments.unassign(scope(), { userId: 'ann', role: 'support' })
      await rbac.roles.delete(scope(), 'support')
      await expect(rbac.roles.get(scope(), 'support')).rejects.toMatchObject({ code: 'not_found' })
      const entries = await log()
      expect(entries.map(({ action }) => action)).toEqual([
        ...['role.deleted', 'role.updated', 'role.updated', 'role.created'],
      ])
      expect(entries[1]).toMatchObject({
        ...{ resource: { type: 'role', id }, data: { key: 'support', name: 'Help desk', policyVersion: 3 } },
        ...{ before: { permissions: ['posts:read'] }, after: { permissions: ['posts:update'], description: null } },
      })
      expect(entries[0]).toMatchObject({ before: { key: 'support' }, after: null })
    })

    it('are refused with what is wrong, and where', async () => {
      const create = (input: object) => rbac.roles.create(scope(), input as never)
      const invalid = (pointer: string, detail: string) => ({
        code: 'invalid_input',
        errors: [{ pointer, detail: expect.stringContaining(detail) }],
      })
      await expect(create({ key: 'a b' })).rejects.toMatchObject(invalid('/key', 'cannot be the key'))
      await expect(create({ key: '__proto__' })).rejects.toMatchObject(invalid('/key', 'cannot be the key'))
      await expect(create({ key: 'x', permissions: ['psots:read'] })).rejects.toMatchObject(
        invalid('/permissions/0', 'known resources'),
      )
      await expect(create({ key: 'x', inherits: ['y'] })).rejects.toMatchObject(invalid('/inherits/0', 'no role "y"'))
      await expect(create({ key: 'x', id: 'owner' })).rejects.toMatchObject(invalid('/id', 'unknown field'))
      await expect(create({ key: 'x', custom: false })).rejects.toMatchObject(invalid('/custom', 'unknown field'))
      await rbac.roles.create(scope(), { key: 'x' })
      const exists = { code: 'role_exists', status: 409 }
      for (const key of ['x', 'owner', 'read_only']) await expect(create({ key })).rejects.toMatchObject(exists)
      for (const change of [
        () => rbac.roles.update(scope(), 'owner', { name: 'Boss' }),
        () => rbac.roles.delete(scope(), 'owner'),
      ])
        await expect(change()).rejects.toMatchObject({ code: 'role_predefined', status: 409 })
      for (const key of ['nobody', 'constructor', undefined as unknown as string]) {
        await expect(rbac.roles.update(scope(), key, {})).rejects.toMatchObject({ code: 'not_found' })
        await expect(rbac.roles.delete(scope(), key)).rejects.toMatchObject({ code: 'not_found' })
      }
      const rename = rbac.roles.update(scope(), 'x', { key: 'y' } as never)
      await expect(rename).rejects.toMatchObject(invalid('/key', 'unknown field'))
      await rbac.roles.create(scope(), { key: 'y', inherits: ['x'] })
      const loop = rbac.roles.update(scope(), 'x', { inherits: ['y'] })
      await expect(loop).rejects.toMatchObject({
        errors: expect.arrayContaining([{ pointer: '/inherits', detail: 'inherits from itself: x → y → x' }]),
      })
      await expect(rbac.roles.delete(scope(), 'x')).rejects.toMatchObject({
        ...{ code: 'role_in_use', extensions: { inheritedBy: ['y'] } },
      })
      expect(await versions()).toBe(2)
    })

    describe('defect 7', () => {
      it('a role that is assigned is not deleted', async () => {
        await rbac.roles.create(scope(), { key: 'support' })
        await give('ann', 'support')
        await expect(rbac.roles.delete(scope(), 'support')).rejects.toMatchObject({
          ...{
            code: 'role_in_use',
            extensions: { roles: [{ key: 'support', assignments: 1, members: 1, invites: 0 }] },
          },
        })
      })

      it('a role that a pending invite offers is not deleted', async () => {
        await rbac.roles.create(scope(), { key: 'support' })
        const { invite } = await rbac.invites.create(scope(), { email: 'ann@example.com', roles: ['support'] })
        await expect(rbac.roles.delete(scope(), 'support')).rejects.toMatchObject({
          ...{
            code: 'role_in_use',
            extensions: { roles: [{ key: 'support', assignments: 0, members: 0, invites: 1 }] },
          },
        })
        const { etag } = await rbac.policies.draft(scope(), { roles: {} })
        await expect(rbac.policies.publish(scope(), { ifMatch: etag })).rejects.toMatchObject({ code: 'role_in_use' })
        await rbac.invites.revoke(scope(), invite.id)
        await rbac.roles.delete(scope(), 'support')
      })

      it('a role is renamed under those who have it, and keeps its key', async () => {
        await rbac.roles.create(scope(), { key: 'support', permissions: ['posts:read'] })
        await give('ann', 'support')
        await rbac.roles.update(scope(), 'support', { name: 'Help desk' })
        expect(await rbac.getUserPermissions('ann', scope())).toEqual(['posts:read'])
        expect((await rbac.assignments.list(scope(), { role: 'support' })).data).toHaveLength(1)
      })

      it('a key that is used again is another role: who had the old one does not have it', async () => {
        const first = await rbac.roles.create(scope(), { key: 'support', permissions: ['posts:read'] })
        await give('ann', 'support', { expiresAt: clock.now() + 1000 })
        clock.advance(1000)
        await rbac.roles.delete(scope(), 'support')
        const second = await rbac.roles.create(scope(), { key: 'support', permissions: ['*'] })
        expect(second.id).not.toBe(first.id)
        // A clock that goes back, or an end that is taken off the row, brings nothing to life.
        clock.advance(-1000)
        expect(await rbac.getUserPermissions('ann', scope())).toEqual([])
        expect(await rbac.whoCan('posts', 'read', scope())).toEqual([])
        await rbac.assignments.unassign(scope(), { userId: 'ann', role: 'support' })
      })

      it('a key that the host takes later is the host’s, and the tenant’s role stays with who has it', async () => {
        await rbac.roles.create(scope(), { key: 'support', permissions: ['posts:read'] })
        await rbac.roles.create(scope(), { key: 'other' })
        await give('ann', 'support')
        const roles = { ...predefinedRoles, support: { permissions: ['billing:*'] } } as const
        const later = createRbac({ storage: opened.storage, logger, clock, resources, roles })
        expect(await later.getUserPermissions('ann', scope())).toEqual(['posts:read'])
        expect((await later.roles.get(scope(), 'support')).custom).toBe(false)
        await expect(later.roles.delete(scope(), 'support')).rejects.toMatchObject({ code: 'role_predefined' })
        // The tenant's other roles can be changed all the same.
        await later.roles.update(scope(), 'other', { name: 'Other' })
        await later.assignments.assign(scope(), { userId: 'bob', role: 'support' })
        expect(await later.getUserPermissions('bob', scope())).toContain('billing:read')
        expect(await later.getUserPermissions('ann', scope())).toEqual(['posts:read'])
      })
    })

    it('can be changed although the host’s catalog shrank under another one', async () => {
      await rbac.roles.create(scope(), { key: 'poster', permissions: ['posts:read'] })
      await rbac.roles.create(scope(), { key: 'other' })
      const smaller = createRbac({ storage: opened.storage, logger, clock })
      await smaller.roles.update(scope(), 'other', { permissions: ['keys:read'] })
      const wrong = smaller.roles.update(scope(), 'poster', { name: 'Poster' })
      await expect(wrong).rejects.toMatchObject({ code: 'invalid_input', errors: [{ pointer: '/permissions/0' }] })
      await smaller.roles.update(scope(), 'poster', { permissions: [] })
    })

    it('at the same moment: one of two publishers of a draft wins', async () => {
      for (let round = 0; round < rounds; round++) {
        const own = { tenantId: `${tenantId} ${round}` }
        const { etag } = await rbac.policies.draft(own, { roles: { editor: {} } })
        const results = await Promise.allSettled(
          [rbac, there, rbac, there].map((process) => process.policies.publish(own, { ifMatch: etag })),
        )
        const codes = results.map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code)).sort()
        expect(codes).toEqual(['done', 'policy_stale', 'policy_stale', 'policy_stale'])
        expect((await rbac.policies.list(own)).data).toHaveLength(1)
      }
    })

    it('at the same moment: every role that is made is there, each in a version of its own', async () => {
      const keys = ['a', 'b', 'c', 'd', 'e', 'f']
      await Promise.all(keys.map((key, i) => (i % 2 ? rbac : there).roles.create(scope(), { key })))
      const { data } = await rbac.roles.list(scope())
      expect(
        data
          .filter(({ custom }) => custom)
          .map(({ key }) => key)
          .sort(),
      ).toEqual(keys)
      expect((await rbac.policies.list(scope())).data.map(({ version }) => version)).toEqual([6, 5, 4, 3, 2, 1])
    })

    it('at the same moment: a role is given, or deleted, and never both', async () => {
      for (let round = 0; round < rounds; round++) {
        const own = { tenantId: `${tenantId} given ${round}` }
        await rbac.roles.create(own, { key: 'support', permissions: ['posts:read'] })
        const [deleted, given] = await Promise.allSettled([
          rbac.roles.delete(own, 'support'),
          there.assignments.assign(own, { userId: 'ann', role: 'support' }),
        ])
        expect([deleted.status, given.status].sort()).toEqual(['fulfilled', 'rejected'])
        if (deleted.status === 'rejected') expect(deleted.reason.code).toBe('role_in_use')
        if (given.status === 'rejected') expect(given.reason.code).toBe('invalid_input')
      }
    })

    it('defect 4, at the same moment: an owner leaves or the other’s role shrinks, and one owner stays', async () => {
      for (let round = 0; round < rounds; round++) {
        const own = { tenantId: `${tenantId} owners ${round}` }
        await rbac.roles.create(own, { key: 'boss', permissions: ['*'] })
        await rbac.assignments.assign(own, { userId: 'ann', role: 'owner' })
        await rbac.assignments.assign(own, { userId: 'bob', role: 'boss' })
        const results = await Promise.allSettled([
          rbac.members.leave({ ...own, actor: user('ann') }),
          there.roles.update(own, 'boss', { permissions: ['posts:read'] }),
        ])
        const codes = results.map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code)).sort()
        expect(codes).toEqual(['done', 'last_owner'])
        expect(await rbac.whoCan('team', 'delete', own)).toHaveLength(1)
      }
    })

    // SQLite and memory have one transaction that writes at a time.
    if (name === 'postgres' || name === 'mariadb')
      it('at the same moment, in transactions of the host that began before: one of two publishers wins', async () => {
        for (const isolationLevel of ['read committed', 'repeatable read', 'serializable'] as const) {
          const own = { tenantId: `${tenantId} ${isolationLevel}` }
          const { etag } = await rbac.policies.draft(own, { roles: { editor: {} } })
          let waiting = 2
          let begin = () => {}
          const bothRead = new Promise<void>((resolve) => {
            begin = resolve
          })
          const publish = () =>
            opened.transaction(
              async (tx) => {
                await rbac.policies.list({ ...own, tx })
                if (--waiting === 0) begin()
                await bothRead
                await rbac.policies.publish({ ...own, tx }, { ifMatch: etag })
              },
              { isolationLevel },
            )
          const results = await Promise.allSettled([publish(), publish()])
          expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
          expect((await rbac.policies.list(own)).data).toHaveLength(1)
        }
      })
  })
}
