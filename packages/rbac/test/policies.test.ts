/** Drafts, versions, publishing and rollback, on every storage. */
import type { Actor } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, defineResources, type PolicyDocument, predefinedResources, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({ ...predefinedResources, posts: ['read', 'update', 'delete'] } as const)
const user = (id: string): Actor => ({ type: 'user', id })
const day = 86_400_000

const editor = { name: 'Editor', permissions: ['posts:read', 'posts:update'] }
const editors: PolicyDocument = { roles: { editor } }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`policies on ${name}`, () => {
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
    beforeEach(async () => {
      tenantId = `t${++count}`
      await rbac.assignments.assign({ tenantId }, { userId: 'olga', role: 'owner' })
    })

    const scope = () => ({ tenantId })
    const as = (id: string) => ({ tenantId, actor: user(id) })
    const give = (userId: string, role: string, more: object = {}) =>
      rbac.assignments.assign(scope(), { userId, role, ...more })
    const may = (userId: string, action: 'read' | 'update' | 'delete', options: object = {}) =>
      rbac.checkPermission(userId, 'posts', action, { tenantId, ...options })
    /** Drafts and publishes. */
    const put = async (document: PolicyDocument, by = scope()) => {
      const { etag } = await rbac.policies.draft(by, document)
      return rbac.policies.publish(by, { ifMatch: etag })
    }
    const versionOf = async () => (await rbac.policies.list(scope(), { limit: 1 })).data[0]?.version ?? 0
    const events = async () => (await rbac.audit.query(scope(), { limit: 250 })).data.map(({ action }) => action)

    describe('a draft', () => {
      it('gives nobody anything until it is published, and then everybody at once', async () => {
        const draft = await rbac.policies.draft(as('olga'), editors)
        expect(draft).toEqual({
          tenantId,
          document: { roles: { editor: { ...editor, inherits: [], rules: [] } }, tests: [] },
          ...{ basedOn: 0, etag: expect.stringMatching(/^[0-9a-f]{32}$/), author: user('olga') },
          ...{ updatedAt: clock.now(), stale: false },
        })
        expect(await rbac.policies.getDraft(scope())).toEqual(draft)
        await expect(give('ann', 'editor')).rejects.toMatchObject({ code: 'invalid_input' })

        clock.advance(day)
        const published = await rbac.policies.publish(as('olga'), { ifMatch: draft.etag, note: 'editors' })
        expect(published).toEqual({
          ...{ tenantId, version: 1, kind: 'publish', basedOn: 0, note: 'editors', author: user('olga') },
          ...{ createdAt: clock.now(), document: draft.document },
        })
        await give('ann', 'editor')
        expect([await may('ann', 'update'), await may('ann', 'delete')]).toEqual([true, false])
        await expect(rbac.policies.getDraft(scope())).rejects.toMatchObject({ code: 'not_found' })

        await put({ roles: { editor: { permissions: ['posts:delete'] } } })
        expect([await may('ann', 'update'), await may('ann', 'delete')]).toEqual([false, true])
        const { policyVersion } = await rbac.explain('ann', 'posts', 'delete', scope())
        expect(policyVersion).toBe(2)
      })

      it('is one for the tenant, and is changed or discarded by whoever saw it', async () => {
        const first = await rbac.policies.draft(scope(), editors)
        expect((await rbac.policies.draft(scope(), editors)).etag).toBe(first.etag)
        const second = await rbac.policies.draft(scope(), { roles: {} }, { ifMatch: first.etag })
        expect(second.etag).not.toBe(first.etag)
        const stale = { code: 'policy_stale', status: 412 }
        await expect(rbac.policies.draft(scope(), editors, { ifMatch: first.etag })).rejects.toMatchObject(stale)
        await expect(rbac.policies.publish(scope(), { ifMatch: first.etag })).rejects.toMatchObject(stale)
        expect((await rbac.policies.getDraft(scope())).document.roles).toEqual({})

        await rbac.policies.discardDraft(scope())
        await expect(rbac.policies.discardDraft(scope())).rejects.toMatchObject({ code: 'not_found' })
        await expect(rbac.policies.draft(scope(), editors, { ifMatch: second.etag })).rejects.toMatchObject(stale)
        await expect(rbac.policies.publish(scope(), { ifMatch: second.etag })).rejects.toMatchObject(stale)
        expect(await rbac.policies.list(scope())).toEqual({ data: [], next: null })
        expect((await events()).filter((action) => action.startsWith('policy'))).toEqual([
          ...['policy.discarded', 'policy.drafted', 'policy.drafted', 'policy.drafted'],
        ])
      })

      it('that was begun before another version cannot be published, also when it is saved again', async () => {
        const { etag } = await rbac.policies.draft(scope(), editors)
        await rbac.roles.create(scope(), { key: 'support', permissions: ['keys:read'] })
        expect(await rbac.policies.getDraft(scope())).toMatchObject({ basedOn: 0, stale: true })
        const stale = { code: 'policy_stale', detail: expect.stringContaining('begun at version 0; version 1') }
        await expect(rbac.policies.publish(scope(), { ifMatch: etag })).rejects.toMatchObject(stale)
        const again = await rbac.policies.draft(scope(), editors, { ifMatch: etag })
        expect(again.stale).toBe(true)
        await expect(rbac.policies.publish(scope(), { ifMatch: again.etag })).rejects.toMatchObject(stale)
        expect((await rbac.roles.get(scope(), 'support')).permissions).toEqual(['keys:read'])

        const both = { roles: { ...editors.roles, support: { permissions: ['keys:read'] } } }
        const rebased = await rbac.policies.draft(scope(), both, { basedOn: 1 })
        expect(rebased.stale).toBe(false)
        expect((await rbac.policies.publish(scope(), { ifMatch: rebased.etag })).version).toBe(2)
        const beyond = { code: 'invalid_input', errors: [{ pointer: '/basedOn', detail: 'there are 2 versions' }] }
        await expect(rbac.policies.draft(scope(), both, { basedOn: 3 })).rejects.toMatchObject(beyond)
      })

      it('of one tenant is not there in another', async () => {
        const { etag } = await rbac.policies.draft(scope(), editors)
        await put(editors)
        await rbac.policies.draft(scope(), editors)
        const other = { tenantId: `${tenantId} other` }
        for (const refused of [
          () => rbac.policies.getDraft(other),
          () => rbac.policies.discardDraft(other),
          () => rbac.policies.get(other, 1),
          () => rbac.policies.rollback(other, { version: 1 }),
          () => rbac.policies.diff(other),
          () => rbac.policies.diff(other, { from: 1, to: 'published' }),
          () => rbac.policies.test(other),
          () => rbac.roles.get(other, 'editor'),
          () => rbac.roles.update(other, 'editor', { name: 'x' }),
          () => rbac.roles.delete(other, 'editor'),
        ])
          await expect(refused()).rejects.toMatchObject({ code: 'not_found' })
        await expect(rbac.policies.publish(other, { ifMatch: etag })).rejects.toMatchObject({ code: 'policy_stale' })
        expect((await rbac.policies.list(other)).data).toEqual([])
        for (const none of [{}, undefined] as { tenantId: string }[]) {
          const noTenant = { code: 'invalid_input', errors: [{ pointer: '/tenantId' }] }
          await expect(rbac.policies.draft(none, editors)).rejects.toMatchObject(noTenant)
          await expect(rbac.policies.publish(none, { ifMatch: etag })).rejects.toMatchObject(noTenant)
          await expect(rbac.policies.list(none)).rejects.toMatchObject(noTenant)
        }
      })
    })

    describe('a document', () => {
      const refused = async (document: unknown, ...errors: [pointer: string, detail: string][]) => {
        const expected = errors.map(([pointer, detail]) => ({ pointer, detail: expect.stringContaining(detail) }))
        await expect(rbac.policies.draft(scope(), document as PolicyDocument)).rejects.toMatchObject({
          code: 'invalid_input',
          errors: expected,
        })
      }
      const test = { name: 't', roles: ['editor'], permission: 'posts:read', expect: 'allow' }

      it('is refused with a pointer to each fault, and the known names', async () => {
        await refused({ roles: { editor: { permissions: ['psots:read'] } } }, [
          '/roles/editor/permissions/0',
          'known resources: keys, analytics, team',
        ])
        await refused(
          {
            roles: {
              a: { permissions: ['posts:read', 'posts:raed'], inherits: ['b', 'nobody'] },
              b: { inherits: ['a'], rules: [{ effect: 'deny', permission: 'posts' }] },
            },
          },
          ['/roles/a/permissions/1', 'known actions: read, update, delete'],
          ['/roles/a/inherits/1', 'there is no role "nobody"'],
          ['/roles/a/inherits', 'inherits from itself: a → b → a'],
          ['/roles/b/rules/0/permission', 'is not a permission'],
          ['/roles/b/inherits', 'inherits from itself: b → a → b'],
        )
        await refused({ roles: { me: { inherits: ['me'] } } }, ['/roles/me/inherits', 'me → me'])
        await refused({ roles: { owner: { permissions: [] } } }, ['/roles/owner', 'a role of the host app'])
        await refused({ roles: { editor }, more: 1 }, ['/more', 'unknown field'])
        await refused({ roles: { editor: { ...editor, can: [] } } }, ['/roles/editor/can', 'unknown field'])
        await refused({}, ['/roles', ''])
        await refused(undefined, ['', ''])
        for (const key of ['a b', 'a:b', 'a.b', '1a', '', 'all', 'x'.repeat(65)]) {
          await refused({ roles: { [key]: editor } }, [`/roles/${key}`, 'cannot be the key of a role'])
        }
      })

      it('is refused with tests that name what is not there', async () => {
        const roles = { editor }
        await refused({ roles, tests: [{ ...test, roles: ['boss'] }] }, ['/tests/0/roles/0', 'no role "boss"'])
        await refused({ roles, tests: [test, { ...test, permission: 'psots:read' }] }, [
          '/tests/1/permission',
          'unknown resource "psots"',
        ])
        for (const permission of ['posts:*', '*:read', '*:*']) {
          await refused({ roles, tests: [{ ...test, permission }] }, ['/tests/0/permission', 'is not one permission'])
        }
        await refused({ roles, tests: [{ ...test, row: { author: { id: 1 } } }] }, ['/tests/0/row/author', ''])
        await refused({ roles, tests: [{ ...test, expect: 'maybe' }] }, ['/tests/0/expect', ''])
      })

      it('defect 11: cannot reach a prototype, by a role, a rule, a condition or a row', async () => {
        for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
          const document = JSON.parse(`{"roles":{"${key}":{"permissions":["*"]}}}`)
          await refused(document, [`/roles/${key}`, 'cannot be the key of a role'])
          const when = JSON.parse(`{"${key}":{"x":1}}`)
          const rules = [{ effect: 'allow', permission: 'posts:read', when }]
          const condition = rbac.policies.draft(scope(), { roles: { a: { rules } } } as never)
          await expect(condition).rejects.toMatchObject({ code: 'invalid_input' })
        }
        await refused(JSON.parse('{"roles":{"a":{"__proto__":{"permissions":["*"]}}}}'), [
          '/roles/a/__proto__',
          'unknown field',
        ])
        await refused(JSON.parse('{"roles":{},"__proto__":{"tests":[]}}'), ['/__proto__', 'unknown field'])
        const row = JSON.parse('{"__proto__":{"mine":true}}')
        const mine = { effect: 'allow' as const, permission: 'posts:read', when: { mine: true } }
        const asked = { ...test, row, expect: 'deny' as const }
        await put({ roles: { editor: { rules: [mine] } }, tests: [asked] })
        expect(({} as { mine?: boolean }).mine).toBeUndefined()
      })

      it('defect 11: takes the operators of the condition language and no others', async () => {
        for (const when of [{ a: { $regex: '(a+)+$' } }, { $or: [{ a: 1 }] }, { a: { $where: '1' } }, {}, { a: [] }]) {
          const rules = [{ effect: 'deny' as const, permission: 'posts:read', when }]
          const saved = rbac.policies.draft(scope(), { roles: { a: { rules } } } as never)
          await expect(saved, JSON.stringify(when)).rejects.toMatchObject({ code: 'invalid_input' })
        }
      })

      it('is bounded in roles, rules, depth and size', async () => {
        const many = (count: number, role: (i: number) => object) =>
          ({ roles: Object.fromEntries(Array.from({ length: count }, (_, i) => [`r${i}`, role(i)])) }) as PolicyDocument
        await refused(
          many(201, () => ({})),
          ['/roles', 'at most 200 roles'],
        )
        const rule = { effect: 'deny' as const, permission: 'posts:read', when: { id: 1 } }
        const rules = Array.from({ length: 400 }, () => rule)
        await refused(
          many(3, (i) => ({ rules, inherits: i > 0 ? [`r${i - 1}`] : [] })),
          ['/roles/r2', 'more than 1000 rules with those that it inherits'],
        )
        const long = Array.from({ length: 100 }, () => 'x'.repeat(1000))
        const heavy = { effect: 'deny' as const, permission: 'posts:read', when: { id: { $in: long } } }
        await refused(
          many(11, () => ({ rules: [heavy] })),
          ['', 'at most 1048576 characters'],
        )
        // A chain through all of them is fine, and is resolved.
        const chain = many(200, (i) => (i > 0 ? { inherits: [`r${i - 1}`] } : { permissions: ['posts:read'] }))
        await put(chain)
        await give('ann', 'r199')
        const { decidedBy } = await rbac.explain('ann', 'posts', 'read', scope())
        expect(decidedBy?.path).toHaveLength(200)
      })
    })

    describe('publishing', () => {
      it('keeps every version, with author, kind and note, the latest first', async () => {
        await put(editors, as('olga'))
        await rbac.roles.create(as('olga'), { key: 'support', permissions: ['keys:read'] })
        await rbac.policies.rollback(scope(), { version: 1, note: 'no support' })
        const { data, next } = await rbac.policies.list(scope(), { limit: 2 })
        expect(
          data.map(({ version, kind, basedOn, note, author }) => [version, kind, basedOn, note, author.id]),
        ).toEqual([
          [3, 'rollback', 1, 'no support', 'system'],
          [2, 'role', 1, null, 'olga'],
        ])
        const rest = await rbac.policies.list(scope(), { cursor: next ?? '' })
        expect(rest).toMatchObject({ data: [{ version: 1, kind: 'publish', basedOn: 0 }], next: null })
        expect(Object.keys((await rbac.policies.get(scope(), 2)).document.roles)).toEqual(['editor', 'support'])
        for (const version of [0, 4]) {
          await expect(rbac.policies.get(scope(), version)).rejects.toMatchObject({
            code: version === 0 ? 'invalid_input' : 'not_found',
          })
        }
      })

      it('tells of each version once, with what differs', async () => {
        await put({ roles: { editor, helper: {} } })
        await put({ roles: { editor: { ...editor, permissions: ['posts:read'] }, helper: {} } })
        const { data } = await rbac.audit.query(scope(), { action: 'policy.published' })
        expect(data).toHaveLength(2)
        expect(data[0]).toMatchObject({
          resource: { type: 'policy', id: '2' },
          data: { version: 2, basedOn: 1, note: null },
          before: { version: 1, roles: [{ key: 'editor', permissions: ['posts:read', 'posts:update'] }] },
          after: { version: 2, roles: [{ key: 'editor', permissions: ['posts:read'] }] },
        })
        expect(JSON.stringify(data[0])).not.toContain('helper')
        expect(JSON.stringify(data[0])).not.toContain('rol_')
      })

      it('is refused when a test of the document fails', async () => {
        const tests = [
          { name: 'editors update', roles: ['editor'], permission: 'posts:update', expect: 'allow' as const },
          { name: 'editors do not delete', roles: ['editor'], permission: 'posts:delete', expect: 'deny' as const },
        ]
        const bad = { roles: { editor: { permissions: ['posts:*'] } }, tests }
        const { etag } = await rbac.policies.draft(scope(), bad)
        const report = await rbac.policies.test(scope())
        expect(report).toMatchObject({ passed: 1, failed: 1 })
        expect(report.results[0]).toMatchObject({ name: 'editors update', ok: true, expected: 'allow', got: 'allow' })
        expect(report.results[1]).toMatchObject({
          ...{ name: 'editors do not delete', ok: false, expected: 'deny', got: 'allow' },
          explanation: { allowed: true, decidedBy: { role: 'editor', permission: 'posts:*' } },
        })
        await expect(rbac.policies.publish(scope(), { ifMatch: etag })).rejects.toMatchObject({
          ...{ code: 'policy_tests_failed', status: 422, detail: expect.stringContaining('"editors do not delete"') },
          extensions: { failures: [report.results[1]] },
        })
        expect(await versionOf()).toBe(0)
        expect((await rbac.policies.getDraft(scope())).etag).toBe(etag)

        await put({ roles: { editor }, tests })
        // They travel on: a role that is changed by itself, or brought back, must pass as well.
        const change = rbac.roles.update(scope(), 'editor', { permissions: ['posts:*'] })
        await expect(change).rejects.toMatchObject({ code: 'policy_tests_failed' })
        await expect(rbac.roles.delete(scope(), 'editor')).rejects.toMatchObject({
          ...{ code: 'role_in_use', extensions: { tests: ['editors update', 'editors do not delete'] } },
        })
        expect(await rbac.policies.test(scope(), { version: 1 })).toMatchObject({ passed: 2, failed: 0 })
        expect(await rbac.policies.test(scope(), { document: bad })).toMatchObject({ passed: 1, failed: 1 })
      })

      it('tests by row, fields and user, and says what would have helped', async () => {
        const own = {
          effect: 'allow' as const,
          permission: 'posts:update',
          when: { authorId: { var: 'userId' as const } },
        }
        const title = { effect: 'allow' as const, permission: 'posts:update', fields: ['title'] }
        const roles = { author: { rules: [own] }, namer: { rules: [title] }, chief: { permissions: ['posts:update'] } }
        const t = { name: 't', permission: 'posts:update', expect: 'allow' as const }
        const tests = [
          { ...t, roles: ['author'], userId: 'ann', row: { authorId: 'ann' } },
          { ...t, roles: ['author'], userId: 'bob', row: { authorId: 'ann' }, expect: 'deny' as const },
          { ...t, roles: ['author'], expect: 'deny' as const },
          { ...t, roles: ['namer'], fields: ['title'] },
          { ...t, roles: ['namer'], fields: ['title', 'body'], expect: 'deny' as const },
          { ...t, roles: ['namer', 'author'], userId: 'ann', row: { authorId: 'ann' }, fields: ['body'] },
          { ...t, roles: ['namer'] },
        ]
        const { results, failed } = await rbac.policies.test(scope(), { document: { roles, tests } })
        expect([failed, results.map(({ ok }) => ok)]).toEqual([1, [true, true, true, true, true, true, false]])
        expect(results.at(-1)?.explanation).toMatchObject({ reason: 'depends', wouldAllow: ['owner', 'chief'] })
      })

      it('does not run tests over more rules than a request is worth', async () => {
        const rules = Array.from({ length: 400 }, (_, i) => ({
          ...{ effect: 'allow' as const, permission: 'posts:update', when: { id: String(i) } },
        }))
        const heirs = Array.from({ length: 10 }, (_, i) => [`heir${i}`, { inherits: ['base'] }] as const)
        const test = { permission: 'posts:update', roles: heirs.map(([key]) => key), expect: 'deny' as const }
        const document = (count: number) => ({
          roles: { base: { rules }, ...Object.fromEntries(heirs) },
          tests: Array.from({ length: count }, (_, i) => ({ ...test, name: String(i) })),
        })
        expect(await rbac.policies.test(scope(), { document: document(5) })).toMatchObject({ passed: 5 })
        const refused = { code: 'invalid_input', errors: [{ pointer: '/document/tests' }] }
        await expect(rbac.policies.test(scope(), { document: document(6) })).rejects.toMatchObject(refused)
        await expect(rbac.policies.draft(scope(), document(6))).rejects.toMatchObject({
          errors: [{ pointer: '/tests' }],
        })
      })

      it('is refused while somebody has a role that goes', async () => {
        await put({ roles: { editor, helper: { permissions: ['posts:read'] } } })
        await give('ann', 'editor')
        await give('ann', 'editor', { on: { resource: 'posts', id: 'p1' } })
        await give('bob', 'editor')
        await rbac.members.suspend(scope(), 'bob')
        const inUse = {
          ...{ code: 'role_in_use', status: 409 },
          extensions: { roles: [{ key: 'editor', assignments: 3, members: 2, invites: 0 }] },
        }
        const { etag } = await rbac.policies.draft(scope(), { roles: {} })
        await expect(rbac.policies.publish(scope(), { ifMatch: etag })).rejects.toMatchObject(inUse)
        await expect(rbac.roles.delete(scope(), 'editor')).rejects.toMatchObject(inUse)
        await rbac.members.remove(scope(), 'bob')
        await rbac.members.remove(scope(), 'ann')
        // One that has expired gives nothing, and can never be prolonged: its role is gone.
        await give('cyd', 'editor', { expiresAt: clock.now() + day })
        await expect(rbac.policies.publish(scope(), { ifMatch: etag })).rejects.toMatchObject({ code: 'role_in_use' })
        clock.advance(day)
        await rbac.policies.publish(scope(), { ifMatch: etag })
        expect((await rbac.roles.list(scope())).data.filter(({ custom }) => custom)).toEqual([])
      })

      it('defect 4: is refused when nobody would be an owner', async () => {
        await put({ roles: { boss: { permissions: ['*'] } } })
        await give('ann', 'boss')
        await rbac.assignments.unassign(scope(), { userId: 'olga', role: 'owner' })
        const lastOwner = { code: 'last_owner', status: 409 }
        const less = { roles: { boss: { permissions: ['keys:*'] } } }
        await expect(put(less)).rejects.toMatchObject(lastOwner)
        await expect(put(less, as('ann'))).rejects.toMatchObject(lastOwner)
        const update = rbac.roles.update(scope(), 'boss', { permissions: ['keys:*'] })
        await expect(update).rejects.toMatchObject(lastOwner)
        // By inheritance too.
        await put({ roles: { base: { permissions: ['*'] }, boss: { inherits: ['base'] } } })
        const base = rbac.roles.update(scope(), 'base', { permissions: [] })
        await expect(base).rejects.toMatchObject(lastOwner)
        await give('olga', 'owner')
        expect((await put(less)).version).toBe(3)
      })

      it('defect 3: hands out and takes away nothing above what the publisher holds', async () => {
        const manage = ['roles:*', 'policies:*', 'team:*', 'posts:read', 'posts:update']
        await put({ roles: { manager: { permissions: manage }, boss: { permissions: ['billing:*'] } } })
        await give('mia', 'manager')
        const above = (document: PolicyDocument, missing: string[]) =>
          expect(put(document, as('mia'))).rejects.toMatchObject({
            ...{ code: 'exceeds_own_rights', status: 403 },
            extensions: { missing },
          })
        const manager = { permissions: manage }
        const boss = { permissions: ['billing:*'] }
        await above({ roles: { manager: { permissions: [...manage, 'keys:read'] }, boss } }, ['keys:read'])
        await above({ roles: { manager: { permissions: [...manage, '*'] }, boss } }, ['*'])
        // Single actions do not add up to a wildcard.
        await above({ roles: { manager, boss, editor: { permissions: ['posts:*'] } } }, ['posts:*'])
        await above({ roles: { manager, boss, editor: { inherits: ['owner'] } } }, ['*'])
        // What a role loses counts as well, and so does a role that goes.
        await above({ roles: { manager, boss: { permissions: [] } } }, ['billing:*'])
        await above({ roles: { manager } }, ['billing:*'])
        const conditional = { effect: 'allow' as const, permission: 'keys:read', when: { id: 1 } }
        await above({ roles: { manager, boss, editor: { rules: [conditional] } } }, ['keys:read when {"id":1}'])
        // By inheritance: the child changes with the parent.
        await put({ roles: { manager, boss, low: {}, high: { inherits: ['low'], permissions: ['keys:*'] } } })
        const low = rbac.roles.update(as('mia'), 'low', { permissions: ['posts:read'] })
        await expect(low).rejects.toMatchObject({ code: 'exceeds_own_rights', extensions: { missing: ['keys:*'] } })
        await expect(rbac.roles.create(as('mia'), { key: 'x', permissions: ['keys:read'] })).rejects.toMatchObject({
          code: 'exceeds_own_rights',
        })
        await expect(rbac.roles.delete(as('mia'), 'boss')).rejects.toMatchObject({ code: 'exceeds_own_rights' })
        await expect(rbac.policies.rollback(as('mia'), { version: 1 })).rejects.toMatchObject({
          code: 'exceeds_own_rights',
        })
        // What it is called is no right.
        await rbac.roles.update(as('mia'), 'boss', { name: 'Money' })
        await rbac.roles.create(as('mia'), { key: 'reader', permissions: ['posts:read'] })
        expect(await versionOf()).toBe(4)
      })

      it('defect 3: a deny of one role does not cover an allow of another', async () => {
        const noDelete = { effect: 'deny' as const, permission: 'posts:delete' }
        await put({ roles: { manager: { permissions: ['roles:*', 'posts:*'], rules: [noDelete] } } })
        await give('mia', 'manager')
        const manager = { permissions: ['roles:*', 'posts:*'], rules: [noDelete] }
        const both = { roles: { manager, free: { permissions: ['posts:*'] }, bound: { rules: [noDelete] } } }
        await expect(put(both, as('mia'))).rejects.toMatchObject({
          ...{ code: 'exceeds_own_rights', extensions: { missing: ['posts:*'] } },
        })
        const bound = { permissions: ['posts:*'], rules: [noDelete] }
        expect((await put({ roles: { manager, bound } }, as('mia'))).version).toBe(2)
      })

      it('defect 3: nobody takes a right from an owner by a deny from below', async () => {
        const manager = { permissions: ['roles:*', 'posts:read'] }
        await put({ roles: { manager, reader: { permissions: ['posts:read'] } } })
        await give('mia', 'manager')
        await give('olga', 'reader')
        const rules = [{ effect: 'deny', permission: 'team:*' }] as const
        const blocked = rbac.roles.update(as('mia'), 'reader', { rules })
        await expect(blocked).rejects.toMatchObject({ code: 'exceeds_own_rights', extensions: { missing: ['*'] } })
        await rbac.assignments.unassign(scope(), { userId: 'olga', role: 'reader' })
        await rbac.roles.update(as('mia'), 'reader', { rules })
      })
    })

    describe('rollback', () => {
      it('publishes an old document again, under the same refusals', async () => {
        await put(editors)
        await put({ roles: { editor: { ...editor, permissions: ['posts:read'] } } })
        await give('ann', 'editor')
        expect(await may('ann', 'update')).toBe(false)
        const back = await rbac.policies.rollback(as('olga'), { version: 1, note: 'as it was' })
        expect(back).toMatchObject({
          version: 3,
          kind: 'rollback',
          basedOn: 1,
          note: 'as it was',
          author: user('olga'),
        })
        expect(back.document).toEqual((await rbac.policies.get(scope(), 1)).document)
        expect(await may('ann', 'update')).toBe(true)
        expect((await rbac.audit.query(scope(), { action: 'policy.rolled_back' })).data).toMatchObject([
          { data: { version: 3, basedOn: 1, note: 'as it was' }, after: { roles: [{ key: 'editor' }] } },
        ])
        await rbac.roles.create(scope(), { key: 'helper' })
        await give('bob', 'helper')
        const inUse = rbac.policies.rollback(scope(), { version: 1 })
        await expect(inUse).rejects.toMatchObject({ code: 'role_in_use' })
        await expect(rbac.policies.rollback(scope(), { version: 9 })).rejects.toMatchObject({ code: 'not_found' })
      })

      it('defect 7: brings a role back as another one', async () => {
        await put(editors)
        await give('ann', 'editor', { expiresAt: clock.now() + day })
        const { id } = await rbac.roles.get(scope(), 'editor')
        clock.advance(day)
        await rbac.roles.delete(scope(), 'editor')
        await rbac.policies.rollback(scope(), { version: 1 })
        expect((await rbac.roles.get(scope(), 'editor')).id).not.toBe(id)
        expect(await rbac.getUserPermissions('ann', scope())).toEqual([])
        // The assignment that has expired cannot be prolonged into the new role: it is another one.
        const again = await give('ann', 'editor')
        expect(again).toMatchObject({ expiresAt: null })
        expect((await rbac.assignments.list(scope(), { userId: 'ann' })).data).toHaveLength(2)
        expect(await may('ann', 'update')).toBe(true)
      })
    })

    it('joins the host’s transaction, and is gone with it', async () => {
      const undone = opened.transaction(async (tx) => {
        const { etag } = await rbac.policies.draft({ tenantId, tx }, editors)
        await rbac.policies.publish({ tenantId, tx }, { ifMatch: etag })
        await rbac.assignments.assign({ tenantId, tx }, { userId: 'ann', role: 'editor' })
        expect(await may('ann', 'update', { tx })).toBe(true)
        expect(await rbac.policies.diff({ tenantId, tx }, { from: 0, to: 'published' })).toMatchObject({ total: 1 })
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect(await versionOf()).toBe(0)
      expect(await may('ann', 'update')).toBe(false)
      expect(await events()).toEqual(['assignment.created'])
    })

    it('a sink that throws keeps the old version', async () => {
      const events = (event: { type: string }) => {
        if (event.type === 'policy.published') throw new Error('no')
      }
      const strict = createRbac({ storage: opened.storage, logger, clock, resources, events })
      const { etag } = await strict.policies.draft(scope(), editors)
      await expect(strict.policies.publish(scope(), { ifMatch: etag })).rejects.toThrow('no')
      expect(await versionOf()).toBe(0)
      expect((await rbac.policies.getDraft(scope())).etag).toBe(etag)
    })
  })
}
