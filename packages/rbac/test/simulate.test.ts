/** What somebody could do under another policy, on every storage. */
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, defineResources, type PolicyDocument, predefinedResources, type RbacStorage } from '@org/rbac'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({ ...predefinedResources, posts: ['read', 'update', 'delete'] } as const)
const update = { resource: 'posts', action: 'update' } as const

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`simulate on ${name}`, () => {
    const clock = fakeClock()
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger, clock, resources })
    let rbac: ReturnType<typeof make>
    let tenantId: string
    let count = 0
    const mine = { authorId: { var: 'userId' as const } }
    const first: PolicyDocument = { roles: { editor: { permissions: ['posts:update'] } } }
    const second: PolicyDocument = {
      roles: { editor: { rules: [{ effect: 'allow', permission: 'posts:update', when: mine }] } },
    }
    const third: PolicyDocument = { roles: { editor: {}, chief: { permissions: ['posts:*'] } } }

    beforeAll(async () => {
      opened = await open()
      rbac = make(opened.storage)
    })
    afterAll(() => opened.close())
    beforeEach(async () => {
      tenantId = `t${++count}`
      for (const document of [first, second]) {
        const { etag } = await rbac.policies.draft({ tenantId }, document)
        await rbac.policies.publish({ tenantId }, { ifMatch: etag })
        if (document === first) await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'editor' })
      }
    })

    it('explains what a member could do under any version, the draft and a document', async () => {
      const ask = (more: object) => rbac.simulate({ tenantId, userId: 'ann', ...update, ...more })
      expect(await ask({})).toEqual(await rbac.explain('ann', 'posts', 'update', { tenantId }))
      expect(await ask({})).toMatchObject({ allowed: false, reason: 'depends', policyVersion: 2 })
      expect(await ask({ row: { authorId: 'ann' } })).toMatchObject({ allowed: true, policyVersion: 2 })
      expect(await ask({ row: { authorId: 'bob' } })).toMatchObject({ allowed: false, reason: 'not_granted' })
      const [assignment] = (await rbac.assignments.list({ tenantId })).data
      expect(await ask({ version: 1 })).toMatchObject({
        ...{ allowed: true, reason: 'granted', policyVersion: 1, roles: ['editor'] },
        decidedBy: { assignmentId: assignment?.id, role: 'editor', path: ['editor'], permission: 'posts:update' },
      })
      await expect(ask({ draft: true })).rejects.toMatchObject({ code: 'not_found' })
      await rbac.policies.draft({ tenantId }, third)
      const drafted = { allowed: false, reason: 'not_granted', policyVersion: 3, wouldAllow: ['owner', 'chief'] }
      expect(await ask({ draft: true })).toMatchObject(drafted)
      expect(await ask({ document: third })).toMatchObject(drafted)
      expect(await ask({ document: first })).toMatchObject({ allowed: true, policyVersion: 3 })
      // Nothing of it has happened.
      expect(await ask({ row: { authorId: 'ann' } })).toMatchObject({ allowed: true, policyVersion: 2 })
      expect((await rbac.policies.list({ tenantId })).data).toHaveLength(2)
    })

    it('explains what anybody with some roles could do', async () => {
      const ask = (more: object) => rbac.simulate({ tenantId, ...update, ...more } as never)
      expect(await ask({ roles: ['editor'], version: 1 })).toMatchObject({
        ...{ allowed: true, userId: 'somebody', decidedBy: { role: 'editor' } },
      })
      const own = { roles: ['editor'], userId: 'bob', row: { authorId: 'bob' } }
      expect(await ask(own)).toMatchObject({ allowed: true, userId: 'bob' })
      expect(await ask({ ...own, roles: ['developer'] })).toMatchObject({ allowed: false, roles: ['developer'] })
      expect(await ask({ roles: ['chief', 'developer'], document: third })).toMatchObject({ allowed: true })
    })

    it('names after a no just the roles that would each allow it', async () => {
      const some = <T>(values: readonly T[]) => fc.subarray([...values])
      const Rule = fc.record(
        {
          effect: fc.constantFrom('allow' as const, 'deny' as const),
          permission: fc.constantFrom('posts:update', 'posts:*', '*:update', '*', 'posts:read'),
          when: fc.constantFrom({ authorId: { var: 'userId' as const } }, { authorId: 'eve' }),
          fields: fc.constantFrom(['title'], ['title', 'body']),
        },
        { requiredKeys: ['effect', 'permission', 'when'] },
      )
      const keys = ['r0', 'r1', 'r2', 'r3']
      const Definition = (i: number) =>
        fc.record({
          inherits: some(keys.slice(0, i)),
          permissions: some(['posts:update', 'posts:*', 'posts:read'] as const),
          rules: fc.array(Rule, { maxLength: 3 }),
        })
      const About = fc.record(
        {
          row: fc.constantFrom({ authorId: 'bob' }, { authorId: 'eve' }),
          fields: some(['title', 'body']).filter((all) => all.length > 0),
        },
        { requiredKeys: [] },
      )
      const definitions = fc.tuple(...keys.map((_, i) => Definition(i)))
      await fc.assert(
        fc.asyncProperty(definitions, About, async (all, about) => {
          const document = { roles: Object.fromEntries(keys.map((key, i) => [key, all[i]])) }
          const ask = (roles: string[]) =>
            rbac.simulate({ tenantId, ...update, ...about, userId: 'bob', roles, document } as never)
          const { wouldAllow } = await ask(['read_only'])
          const expected: string[] = []
          for (const role of ['owner', 'admin', 'developer', 'billing', 'read_only', ...keys]) {
            if ((await ask([role])).allowed) expected.push(role)
          }
          expect(wouldAllow).toEqual(expected)
        }),
        { numRuns: 60 },
      )
    })

    it('knows who is suspended, and whose role has ended', async () => {
      const ask = (userId: string) => rbac.simulate({ tenantId, userId, ...update, version: 1 })
      await rbac.assignments.assign({ tenantId }, { userId: 'bob', role: 'editor', expiresAt: clock.now() + 1 })
      expect((await ask('bob')).allowed).toBe(true)
      clock.advance(1)
      expect(await ask('bob')).toMatchObject({ allowed: false, reason: 'not_granted', roles: [] })
      await rbac.members.suspend({ tenantId }, 'ann')
      expect(await ask('ann')).toMatchObject({ allowed: false, reason: 'suspended' })
    })

    it('names what is unknown', async () => {
      const ask = (more: object) => rbac.simulate({ tenantId, userId: 'ann', ...update, ...more } as never)
      const invalid = (pointer: string) => ({ code: 'invalid_input', errors: [{ pointer }] })
      await expect(ask({ resource: 'psots' })).rejects.toMatchObject(invalid('/resource'))
      await expect(ask({ action: 'raed' })).rejects.toMatchObject(invalid('/action'))
      await expect(ask({ roles: ['editor', 'boss'] })).rejects.toMatchObject(invalid('/roles/1'))
      await expect(ask({ userId: undefined })).rejects.toMatchObject(invalid(''))
      await expect(ask({ version: 1, draft: true })).rejects.toMatchObject(invalid(''))
      await expect(ask({ version: 9 })).rejects.toMatchObject({ code: 'not_found' })
      await expect(ask({ tenantId: '' })).rejects.toMatchObject({ code: 'invalid_input' })
      await expect(ask({ row: { authorId: {} } })).rejects.toMatchObject(invalid('/row/authorId'))
      const document = { roles: { a: { permissions: ['x:y'] } } }
      await expect(ask({ document })).rejects.toMatchObject(invalid('/document/roles/a/permissions/0'))
      await expect(ask({ document: { roles: { a: 1 } } })).rejects.toMatchObject(invalid('/document/roles/a'))
      const other = await rbac.simulate({ tenantId: `${tenantId} other`, userId: 'ann', ...update })
      expect(other).toMatchObject({ allowed: false, roles: [], policyVersion: 0 })
    })
  })
}
