/** A tenant that goes leaves nothing but its log, and takes nobody else's things along. */
import { fakeClock, recordingLogger } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { describe, expect, it } from 'vitest'
import { storages } from './storages.js'

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`a deleted tenant on ${name}`, () => {
    it('is gone with its team, roles, invites and keys, and its log stays', async () => {
      const opened = await open({ pool: 1 })
      const events: string[] = []
      const rbac = createRbac({
        ...{ storage: opened.storage, clock: fakeClock(), logger: recordingLogger() },
        events: ({ type }) => void events.push(type),
      })
      const furnish = async (tenantId: string) => {
        const scope = { tenantId }
        await rbac.tenants.create(scope, { ownerId: 'olga', name: tenantId })
        await rbac.roles.create(scope, { key: 'editor', permissions: ['keys:read'] })
        await rbac.assignments.assign(scope, { userId: 'ann', role: 'editor' })
        const { secret } = await rbac.keys.create(scope, { name: 'CI', scopes: ['keys:read'] })
        const { token } = await rbac.invites.create(scope, { email: 'x@example.com', roles: ['editor'] })
        await rbac.policies.draft(scope, { roles: {} })
        return { scope, secret, token }
      }
      const acme = await furnish('acme')
      const other = await furnish('globex')
      expect(await rbac.checkPermission('ann', 'keys', 'read', acme.scope)).toBe(true)

      const undone = opened.transaction(async (tx) => {
        await rbac.tenants.delete({ ...acme.scope, tx })
        expect(await rbac.checkPermission('ann', 'keys', 'read', { ...acme.scope, tx })).toBe(false)
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect(await rbac.checkPermission('ann', 'keys', 'read', acme.scope)).toBe(true)

      events.length = 0
      await rbac.tenants.delete(acme.scope)
      expect(events).toEqual(['tenant.deleted'])
      const absent = { code: 'not_found' }
      await expect(rbac.tenants.get(acme.scope)).rejects.toMatchObject(absent)
      await expect(rbac.tenants.delete(acme.scope)).rejects.toMatchObject(absent)
      expect(await rbac.checkPermission('ann', 'keys', 'read', acme.scope)).toBe(false)
      expect(await rbac.checkPermission('olga', 'keys', 'read', acme.scope)).toBe(false)
      expect(await rbac.keys.verify(acme.secret)).toMatchObject({ valid: false, code: 'unknown' })
      await expect(rbac.invites.preview({ token: acme.token })).rejects.toMatchObject({ code: 'invite_not_found' })
      for (const list of [rbac.members, rbac.assignments, rbac.invites, rbac.keys]) {
        expect((await list.list(acme.scope)).data).toEqual([])
      }
      expect((await rbac.roles.list(acme.scope)).data.filter(({ custom }) => custom)).toEqual([])
      expect((await rbac.policies.list(acme.scope)).data).toMatchObject([{ version: 2, kind: 'reset' }])
      const log = (await rbac.audit.query(acme.scope)).data.map(({ action }) => action)
      expect([log[0], log.at(-1)]).toEqual(['tenant.deleted', 'tenant.created'])

      expect(await rbac.checkPermission('ann', 'keys', 'read', other.scope)).toBe(true)
      expect(await rbac.keys.verify(other.secret)).toMatchObject({ valid: true })

      // The id may be used again, and nothing of before comes back, also for a process that remembers.
      await rbac.tenants.create(acme.scope, { ownerId: 'otto' })
      const made = await rbac.roles.create(acme.scope, { key: 'editor', permissions: ['team:read'] })
      await rbac.assignments.assign(acme.scope, { userId: 'ann', role: 'editor' })
      expect(made.permissions).toEqual(['team:read'])
      expect(await rbac.getUserPermissions('ann', acme.scope)).toEqual(['team:read'])
      await opened.close()
    })
  })
}
