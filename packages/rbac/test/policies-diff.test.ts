/** What changes from one policy to another, and who gains and loses what, on every storage. */
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, defineResources, type PolicyDocument, predefinedResources, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({ ...predefinedResources, posts: ['read', 'update', 'delete'] } as const)
const day = 86_400_000

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`a diff of policies on ${name}`, () => {
    const clock = fakeClock()
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger, clock, resources })
    let rbac: ReturnType<typeof make>
    let tenantId: string
    let count = 0

    beforeAll(async () => {
      opened = await open()
      rbac = make(opened.storage)
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `t${++count}`
    })

    const scope = () => ({ tenantId })
    const give = (userId: string, role: string, more: object = {}) =>
      rbac.assignments.assign(scope(), { userId, role, ...more })
    const put = async (document: PolicyDocument) => {
      const { etag } = await rbac.policies.draft(scope(), document)
      return rbac.policies.publish(scope(), { ifMatch: etag })
    }
    /** Who gains and loses what if the draft says this instead. */
    const changes = async (document: PolicyDocument) => {
      await rbac.policies.draft(scope(), document)
      const { members, total, truncated } = await rbac.policies.diff(scope())
      expect([total, truncated]).toEqual([members.length, false])
      return Object.fromEntries(members.map(({ userId, gains, loses }) => [userId, { gains, loses }]))
    }

    it('is a unified diff with a file for each role that changes, and one for the tests', async () => {
      const test = { name: 'reads', roles: ['reader'], permission: 'posts:read', expect: 'allow' as const }
      const reader = { permissions: ['posts:read', 'keys:read'] }
      await put({ roles: { reader, gone: {}, same: { permissions: ['keys:read'] } } })
      const document: PolicyDocument = {
        roles: {
          same: { permissions: ['keys:read'] },
          fresh: { rules: [{ effect: 'deny', permission: 'posts:delete' }] },
          reader: { ...reader, name: 'Reader', permissions: ['keys:read', 'posts:read', 'posts:update'] },
        },
        tests: [test],
      }
      await rbac.policies.draft(scope(), document)
      const { text, roles, members, total } = await rbac.policies.diff(scope())
      expect(roles).toEqual([
        { key: 'fresh', change: 'added' },
        { key: 'gone', change: 'removed' },
        { key: 'reader', change: 'changed' },
      ])
      expect([members, total]).toEqual([[], 0])
      expect(text).toContain('--- /dev/null\tversion 1\n+++ roles/fresh\tdraft\n@@ -0,0 +1,')
      expect(text).toContain('+    {"effect":"deny","permission":"posts:delete"}\n')
      expect(text).toContain('--- roles/gone\tversion 1\n+++ /dev/null\tdraft\n')
      // The order of permissions says nothing.
      expect(text).toContain('     "keys:read",\n-    "posts:read"\n+    "posts:read",\n+    "posts:update"\n')
      expect(text).toContain(`+${JSON.stringify(test)}\n`)
      expect(text).not.toContain('roles/same')

      await rbac.policies.publish(scope(), { ifMatch: (await rbac.policies.getDraft(scope())).etag })
      expect(await rbac.policies.diff(scope(), { from: 1, to: 2 })).toMatchObject({ roles })
      expect((await rbac.policies.diff(scope(), { from: 2, to: 1 })).roles[0]).toEqual({
        key: 'fresh',
        change: 'removed',
      })
      expect(await rbac.policies.diff(scope(), { from: 2, to: 'published' })).toEqual({
        ...{ text: '', roles: [], members: [], total: 0, truncated: false },
      })
      expect((await rbac.policies.diff(scope(), { from: 0, to: 1 })).roles).toHaveLength(3)
      await expect(rbac.policies.diff(scope())).rejects.toMatchObject({ code: 'not_found' })
      await expect(rbac.policies.diff(scope(), { from: 3, to: 1 })).rejects.toMatchObject({ code: 'not_found' })
      for (const from of [-1, 1.5, 'other'] as never[]) {
        await expect(rbac.policies.diff(scope(), { from })).rejects.toMatchObject({ code: 'invalid_input' })
      }
    })

    it('shows a role that changes beyond measure as taken out and put in', async () => {
      const rules = (from: number) =>
        Array.from({ length: 500 }, (_, i) => ({
          ...{ effect: 'deny' as const, permission: 'posts:read', when: { id: from + i } },
        }))
      await put({ roles: { fat: { rules: rules(0) } } })
      await rbac.policies.draft(scope(), { roles: { fat: { name: 'Fat', rules: rules(1000) } } })
      const { text, roles } = await rbac.policies.diff(scope())
      expect(roles).toEqual([{ key: 'fat', change: 'changed' }])
      expect(text.match(/^--- roles\/fat\t/gm)).toHaveLength(2)
      expect(text.match(/^- {4}\{"effect"/gm)).toHaveLength(500)
      expect(text.match(/^\+ {4}\{"effect"/gm)).toHaveLength(500)
    })

    it('names who gains and who loses which permission, by all that they hold', async () => {
      await put({ roles: { editor: { permissions: ['posts:*'] }, reader: { permissions: ['posts:read'] } } })
      await give('ann', 'editor')
      await give('bob', 'editor')
      await give('bob', 'reader')
      await give('cyd', 'reader')
      await give('dan', 'editor')
      await give('dan', 'owner')
      await give('eve', 'developer')
      const less = { roles: { editor: { permissions: ['keys:read'] }, reader: { permissions: ['posts:read'] } } }
      expect(await changes(less)).toEqual({
        ann: { gains: ['keys:read'], loses: ['posts:delete', 'posts:read', 'posts:update'] },
        bob: { gains: ['keys:read'], loses: ['posts:delete', 'posts:update'] },
      })
      // What the diff says is what happens.
      const before = await rbac.getUserPermissions('ann', scope())
      await put(less)
      const after = await rbac.getUserPermissions('ann', scope())
      expect([before, after]).toEqual([['posts:delete', 'posts:read', 'posts:update'], ['keys:read']])
    })

    it('names them also for a role that changes by what it inherits, or goes', async () => {
      await put({ roles: { base: { permissions: ['posts:read'] }, top: { inherits: ['base'] } } })
      await give('ann', 'top')
      const more = { roles: { base: { permissions: ['posts:read', 'keys:read'] }, top: { inherits: ['base'] } } }
      expect(await changes(more)).toEqual({ ann: { gains: ['keys:read'], loses: [] } })
      expect(await changes({ roles: {} })).toEqual({ ann: { gains: [], loses: ['posts:read'] } })
    })

    it('says over which rows, fields and things, and what is denied', async () => {
      const mine = { authorId: { var: 'userId' as const } }
      const when = `when ${JSON.stringify(mine)}`
      const allow = { effect: 'allow' as const, permission: 'posts:update' }
      const deny = { effect: 'deny' as const, permission: 'posts:update' }
      await put({ roles: { editor: { permissions: ['posts:update'] }, other: { permissions: ['keys:read'] } } })
      await give('ann', 'editor')
      const editor = (rules: object[], permissions: string[] = []) =>
        ({ roles: { editor: { rules, permissions }, other: { permissions: ['keys:read'] } } }) as PolicyDocument
      const full = ['posts:update']
      expect(await changes(editor([{ ...allow, when: mine }]))).toEqual({
        ann: { gains: [], loses: [`posts:update except ${when}`] },
      })
      expect(await changes(editor([{ ...deny, when: mine }], full))).toEqual({
        ann: { gains: [], loses: [`posts:update ${when}`] },
      })
      expect(await changes(editor([deny], full))).toEqual({ ann: { gains: [], loses: ['posts:update'] } })
      // What is held on every row is not gained on some.
      expect(await changes(editor([{ ...allow, when: mine }], full))).toEqual({})
      await put(editor([{ ...allow, fields: ['title'], when: mine }]))
      expect(await changes(editor([], full))).toEqual({
        ann: { gains: [`posts:update except fields title ${when}`], loses: [] },
      })
      expect(await changes(editor([{ ...allow, when: mine }]))).toEqual({
        ann: { gains: [`posts:update ${when}`], loses: [`posts:update fields title ${when}`] },
      })
      await put(editor([{ ...deny, when: mine }], full))
      expect(await changes(editor([], full))).toEqual({ ann: { gains: [`posts:update ${when}`], loses: [] } })
      // A deny of what is not held takes nothing.
      await give('bob', 'other')
      const other = { permissions: ['keys:read'], rules: [{ effect: 'deny' as const, permission: 'billing:*' }] }
      expect(
        await changes({ roles: { editor: { permissions: full, rules: [{ ...deny, when: mine }] }, other } }),
      ).toEqual({})
    })

    it('looks at the roles that count now: over one thing, until they end, and of members who are active', async () => {
      await put({ roles: { editor: { permissions: ['posts:read'] } } })
      await give('on', 'editor', { on: { resource: 'posts', id: 'p1' } })
      await give('brief', 'editor', { expiresAt: clock.now() + day })
      await give('gone', 'editor', { expiresAt: clock.now() + 1 })
      await give('away', 'editor')
      await rbac.members.suspend(scope(), 'away')
      clock.advance(1)
      expect(await changes({ roles: { editor: { permissions: ['posts:delete', 'keys:read'] } } })).toEqual({
        brief: { gains: ['keys:read', 'posts:delete'], loses: ['posts:read'] },
        on: { gains: ['posts:delete on posts p1'], loses: ['posts:read on posts p1'] },
      })
    })
  })

  describe.skipIf(missing)(`a diff for many on ${name}`, () => {
    it('lists a thousand members of ten thousand, and counts the rest', { timeout: 120_000 }, async () => {
      const { storage, close } = await open()
      const clock = fakeClock()
      const rbac = createRbac({ storage, logger, clock, resources })
      const tenantId = 'big'
      const roles = Object.fromEntries(
        Array.from({ length: 100 }, (_, i) => [`r${i}`, { permissions: [i % 2 ? 'posts:read' : 'keys:read'] }]),
      )
      const saved = await rbac.policies.draft({ tenantId }, { roles })
      await rbac.policies.publish({ tenantId }, { ifMatch: saved.etag })
      const ids = (await rbac.roles.list({ tenantId })).data.filter(({ custom }) => custom)
      const members = name === 'memory' ? 2_000 : 10_000
      await storage.run(async ({ assignments }) => {
        const createdAt = clock.now()
        for (let i = 0; i < members; i++) {
          const userId = `u${String(i).padStart(5, '0')}`
          const role = ids[i % 100]
          if (!role) throw new Error('a hundred roles')
          const row = { tenantId, userId, role: role.key, roleId: role.id, on: null, expiresAt: null, createdAt }
          await assignments.insertOrFind({ id: `asg_${i}`, ...row })
        }
      })
      await rbac.policies.draft({ tenantId }, { roles: { ...roles, r1: {}, r3: { permissions: ['posts:update'] } } })
      const few = await rbac.policies.diff({ tenantId })
      expect(few).toMatchObject({ total: members / 50, truncated: false })
      const none = Object.fromEntries(Object.keys(roles).map((key) => [key, {}]))
      await rbac.policies.draft({ tenantId }, { roles: none })
      const all = await rbac.policies.diff({ tenantId })
      expect(all).toMatchObject({ total: members, truncated: true })
      expect(all.members).toHaveLength(1_000)
      await close()
    })
  })
}
