/** Decisions over custom roles: inheritance, many roles, one thing, rows, fields, denies and ends. */
import { type Ability, allows } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import {
  type Assignment,
  createRbac,
  defineResources,
  memoryStorage,
  type PolicyDocument,
  predefinedResources,
  predefinedRoles,
  type RbacStorage,
  type Role,
} from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const resources = defineResources({
  ...predefinedResources,
  posts: ['read', 'update', 'delete'],
  notes: ['read', 'update'],
} as const)
const day = 86_400_000
const mine = { authorId: { var: 'userId' as const } }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`decisions on ${name}`, () => {
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
    const put = async (roles: PolicyDocument['roles']) => {
      const { etag } = await rbac.policies.draft(scope(), { roles })
      await rbac.policies.publish(scope(), { ifMatch: etag })
    }
    const give = (userId: string, role: string, more: object = {}) =>
      rbac.assignments.assign(scope(), { userId, role, ...more })
    const may = (userId: string, action: 'read' | 'update' | 'delete', about: object = {}) =>
      rbac.checkPermission(userId, 'posts', action, { tenantId, ...about })

    it('a role has what it inherits, from afar and by two ways, the host’s roles included', async () => {
      await put({
        base: { permissions: ['posts:read'] },
        left: { inherits: ['base'], permissions: ['posts:update'] },
        right: { inherits: ['base', 'billing'] },
        top: { inherits: ['left', 'right'], permissions: ['notes:read'] },
      })
      await give('ann', 'top')
      expect(await rbac.getUserPermissions('ann', scope())).toEqual([
        ...['analytics:read', 'billing:create', 'billing:delete', 'billing:read', 'billing:update'],
        ...['notes:read', 'posts:read', 'posts:update'],
      ])
      const { grants } = await rbac.explain('ann', 'posts', 'read', scope())
      expect(grants.map(({ path }) => path)).toEqual([['top', 'left', 'base']])
      expect((await rbac.explain('ann', 'billing', 'read', scope())).decidedBy).toMatchObject({
        ...{ role: 'top', path: ['top', 'right', 'billing'], permission: 'billing:*' },
      })
    })

    it('many roles add up, and each can go without the others', async () => {
      await put({ reader: { permissions: ['posts:read'] }, writer: { permissions: ['posts:update'] } })
      await give('ann', 'reader')
      await give('ann', 'writer')
      await give('ann', 'developer')
      expect(await rbac.getUserPermissions('ann', scope())).toEqual([
        ...['analytics:read', 'keys:create', 'keys:delete', 'keys:read', 'keys:update', 'posts:read', 'posts:update'],
      ])
      await rbac.assignments.unassign(scope(), { userId: 'ann', role: 'writer' })
      expect([await may('ann', 'read'), await may('ann', 'update')]).toEqual([true, false])
    })

    it('trap 4: a deny beats an allow from any role, in any order', async () => {
      await put({
        allower: { permissions: ['posts:*'] },
        denier: { rules: [{ effect: 'deny', permission: 'posts:delete' }] },
        child: { inherits: ['denier'], permissions: ['posts:delete'] },
      })
      await give('ann', 'denier')
      await give('ann', 'allower')
      await give('bob', 'allower')
      await give('bob', 'denier')
      await give('cyd', 'child')
      await give('olga', 'owner')
      await give('olga', 'denier')
      for (const userId of ['ann', 'bob', 'cyd', 'olga']) {
        expect([userId, await may(userId, 'delete')]).toEqual([userId, false])
        const { reason, decidedBy, grants, denies } = await rbac.explain(userId, 'posts', 'delete', scope())
        expect([reason, decidedBy?.effect, grants.length, denies.length]).toEqual(['denied', 'deny', 1, 1])
      }
      expect([await may('ann', 'read'), await may('olga', 'update')]).toEqual([true, true])
      expect(await rbac.whoCan('posts', 'delete', scope())).toEqual([])
      // Every sentence of CASL's agrees: `*` on everything minus one.
      const ability = await rbac.abilityFor({ userId: 'olga', tenantId })
      expect([ability.can('delete', 'posts'), ability.can('delete', 'keys')]).toEqual([false, true])
    })

    it('a grant over one thing is about that thing, whatever the role says of others', async () => {
      await put({
        editor: {
          permissions: ['posts:update', 'notes:*', '*:read'],
          rules: [{ effect: 'deny', permission: 'posts:read', when: { secret: true } }],
        },
      })
      await give('ann', 'editor', { on: { resource: 'posts', id: '7' } })
      expect(await may('ann', 'update')).toBe(false)
      expect(await may('ann', 'update', { row: { id: '7' } })).toBe(true)
      expect(await may('ann', 'update', { row: { id: 7 } })).toBe(true)
      expect(await may('ann', 'update', { row: { id: '8' } })).toBe(false)
      expect(await may('ann', 'update', { row: {} })).toBe(false)
      expect(await may('ann', 'read', { row: { id: 7, secret: false } })).toBe(true)
      expect(await may('ann', 'read', { row: { id: 7, secret: true } })).toBe(false)
      const note = { tenantId, row: { id: '7' } }
      expect(await rbac.checkPermission('ann', 'notes', 'read', note)).toBe(false)
      expect(await rbac.checkPermission('ann', 'keys', 'read', note)).toBe(false)
      expect(await rbac.getUserPermissions('ann', scope())).toEqual([])
      const { decidedBy } = await rbac.explain('ann', 'posts', 'update', { ...scope(), row: { id: '7' } })
      expect(decidedBy).toMatchObject({ role: 'editor', on: { resource: 'posts', id: '7' } })
      expect(await rbac.whoCan('posts', 'update', { tenantId, row: { id: '7' } })).toEqual(['ann'])
      expect(await rbac.whoCan('posts', 'update', { tenantId, row: { id: '8' } })).toEqual([])
      expect(await rbac.whoCan('posts', 'update', scope())).toEqual([])
    })

    it('over one thing a deny takes that thing only', async () => {
      await put({ blocked: { rules: [{ effect: 'deny', permission: '*' }] }, reader: { permissions: ['posts:read'] } })
      await give('ann', 'reader')
      await give('ann', 'blocked', { on: { resource: 'posts', id: 'p1' } })
      expect(await may('ann', 'read', { row: { id: 'p2' } })).toBe(true)
      expect(await may('ann', 'read', { row: { id: 'p1' } })).toBe(false)
      // Without a row nobody knows which one is meant.
      expect(await may('ann', 'read')).toBe(false)
    })

    it('conditions are filled in with who asks, and where', async () => {
      const here = { tenant: { var: 'tenantId' as const } }
      await put({
        author: { rules: [{ effect: 'allow', permission: 'posts:update', when: { ...mine, ...here } }] },
      })
      await give('ann', 'author')
      await give('bob', 'author')
      const row = { authorId: 'ann', tenant: tenantId }
      expect(await may('ann', 'update', { row })).toBe(true)
      expect(await may('bob', 'update', { row })).toBe(false)
      expect(await may('ann', 'update', { row: { authorId: 'ann', tenant: 'other' } })).toBe(false)
      expect(await may('ann', 'update', { row: { authorId: 'ann' } })).toBe(false)
      expect(await may('ann', 'update')).toBe(false)
      expect((await rbac.explain('ann', 'posts', 'update', scope())).reason).toBe('depends')
      expect(await rbac.whoCan('posts', 'update', { tenantId, row })).toEqual(['ann'])
      expect(await rbac.whoCan('posts', 'update', scope())).toEqual([])
    })

    it('fields count one by one: all that are asked about must be allowed', async () => {
      await put({
        namer: { rules: [{ effect: 'allow', permission: 'posts:update', fields: ['title', 'meta.*'] }] },
        writer: { rules: [{ effect: 'allow', permission: 'posts:update', fields: ['body'] }] },
        chief: {
          permissions: ['posts:update'],
          rules: [{ effect: 'deny', permission: 'posts:update', fields: ['slug'] }],
        },
      })
      await give('ann', 'namer')
      await give('cyd', 'chief')
      const update = (userId: string, ...fields: string[]) => may(userId, 'update', { fields })
      expect([await update('ann', 'title'), await update('ann', 'title', 'meta.lang')]).toEqual([true, true])
      expect([await update('ann', 'body'), await update('ann', 'title', 'body'), await update('ann')]).toEqual([
        ...[false, false, false],
      ])
      const some = await rbac.explain('ann', 'posts', 'update', { ...scope(), fields: ['title', 'body'] })
      expect(some).toMatchObject({
        allowed: false,
        reason: 'not_granted',
        decidedBy: null,
        wouldAllow: ['owner', 'chief'],
      })
      await give('ann', 'writer')
      expect(await update('ann', 'title', 'body')).toBe(true)
      expect([await update('cyd', 'title'), await update('cyd', 'title', 'slug'), await update('cyd')]).toEqual([
        ...[true, false, false],
      ])
    })

    it('a role counts until its end, to the millisecond, in every answer', async () => {
      await put({ editor: { permissions: ['posts:update'] } })
      const expiresAt = clock.now() + day
      await give('ann', 'editor', { expiresAt })
      const answers = async () => [
        await may('ann', 'update'),
        (await rbac.getUserPermissions('ann', scope())).length > 0,
        (await rbac.abilityFor({ userId: 'ann', tenantId })).can('update', 'posts'),
        (await rbac.explain('ann', 'posts', 'update', scope())).allowed,
        (await rbac.whoCan('posts', 'update', scope())).includes('ann'),
        (await rbac.checkMany('ann', [{ resource: 'posts', action: 'update' }], scope()))[0],
      ]
      clock.advance(day - 1)
      expect(new Set(await answers())).toEqual(new Set([true]))
      clock.advance(1)
      expect(new Set(await answers())).toEqual(new Set([false]))
      await give('ann', 'editor', { expiresAt: clock.now() + 1 })
      expect(new Set(await answers())).toEqual(new Set([true]))
    })

    it('checkMany answers in order, about rows and fields too', async () => {
      await put({
        author: {
          permissions: ['posts:read'],
          rules: [{ effect: 'allow', permission: 'posts:update', when: mine, fields: ['title'] }],
        },
      })
      await give('ann', 'author')
      const own = { resource: 'posts', action: 'update', row: { authorId: 'ann' } } as const
      const answers = await rbac.checkMany(
        'ann',
        [
          { resource: 'posts', action: 'read' },
          { resource: 'keys', action: 'read' },
          { ...own, fields: ['title'] },
          { ...own, fields: ['body'] },
          own,
          { ...own, row: { authorId: 'bob' }, fields: ['title'] },
        ],
        scope(),
      )
      expect(answers).toEqual([true, false, true, false, false, false])
      expect(await rbac.checkMany('ann', [], scope())).toEqual([])
    })

    it('explain goes from the decision to the role, the assignment, the rule and the version', async () => {
      await put({ base: { rules: [{ effect: 'allow', permission: 'posts:*', when: mine }] } })
      await put({
        base: { rules: [{ effect: 'allow', permission: 'posts:*', when: mine }] },
        top: { inherits: ['base'] },
      })
      const { id } = await give('ann', 'top')
      await give('ann', 'developer')
      const yes = await rbac.explain('ann', 'posts', 'delete', { ...scope(), row: { authorId: 'ann' } })
      const ground = {
        ...{ effect: 'allow', permission: 'posts:*', when: mine, assignmentId: id, role: 'top', path: ['top', 'base'] },
        on: null,
      }
      expect(yes).toEqual({
        ...{ allowed: true, reason: 'granted', tenantId, userId: 'ann', resource: 'posts', action: 'delete' },
        ...{ policyVersion: 2, decidedBy: ground, grants: [ground], denies: [], roles: ['top', 'developer'] },
        wouldAllow: [],
      })
      const no = await rbac.explain('ann', 'posts', 'delete', { ...scope(), row: { authorId: 'bob' } })
      expect(no).toMatchObject({
        allowed: false,
        reason: 'not_granted',
        decidedBy: null,
        grants: [],
        wouldAllow: ['owner'],
      })
      const stranger = await rbac.explain('bob', 'posts', 'delete', { ...scope(), row: { authorId: 'bob' } })
      expect(stranger.wouldAllow).toEqual(['owner', 'base', 'top'])
    })

    it('a tenant cannot run out of owners who are denied nothing', async () => {
      await put({ nearly: { inherits: ['owner'], rules: [{ effect: 'deny', permission: 'billing:delete' }] } })
      await give('olga', 'owner')
      await give('ann', 'nearly')
      const leave = rbac.members.leave({ tenantId, actor: { type: 'user', id: 'olga' } })
      await expect(leave).rejects.toMatchObject({ code: 'last_owner' })
      // And nobody gets round the deny by a role that lacks it.
      const asAnn = { tenantId, actor: { type: 'user' as const, id: 'ann' } }
      const owner = rbac.assignments.assign(asAnn, { userId: 'eve', role: 'owner' })
      await expect(owner).rejects.toMatchObject({ code: 'exceeds_own_rights' })
      const free = rbac.roles.create(asAnn, { key: 'free', permissions: ['*'] })
      await expect(free).rejects.toMatchObject({ code: 'exceeds_own_rights' })
    })
  })
}

describe('a guard', () => {
  const context = () => null
  const create = (rules: object[]) =>
    createRbac({
      logger,
      resources,
      storage: memoryStorage(),
      roles: { ...predefinedRoles, author: { rules } } as never,
    })

  it('that cannot know the row or the fields of a conditional right fails at start-up', () => {
    const rows = create([{ effect: 'allow', permission: 'posts:update', when: mine }])
    const guard = (rbac: typeof rows, more: object = {}) =>
      requirePermission(rbac, 'posts', 'update', { context, ...more })
    expect(() => guard(rows)).toThrow('the role "author" has "posts:update" over some rows only; pass `row`')
    expect(() => guard(rows, { row: () => null })).not.toThrow()
    expect(() => requirePermission(rows, 'posts', 'read', { context })).not.toThrow()
    const fields = create([{ effect: 'deny', permission: 'posts:*', fields: ['slug'] }])
    expect(() => guard(fields)).toThrow('over some fields only; pass `fields`')
    expect(() => guard(fields, { row: () => null })).toThrow('pass `fields`')
    expect(() => guard(fields, { fields: () => ['title'] })).not.toThrow()
  })
})

/** An evaluator of a few lines that knows nothing of CASL, over roles, rows and fields of any shape. */
describe('any roles', () => {
  const action = fc.constantFrom('read', 'update')
  const permission = fc.constantFrom('*', 'posts:*', '*:read', 'posts:read', 'posts:update', 'notes:update')
  const when = fc.constantFrom(undefined, mine, { state: 'open' }, { state: { $in: ['open', 'done'] } })
  const fields = fc.constantFrom(undefined, ['title'], ['body', 'title'])
  const rule = fc.record({ effect: fc.constantFrom('allow', 'deny'), permission, when, fields })
  const limited = rule.filter(({ effect, when, fields }) => effect === 'deny' || !!when || !!fields)
  const role = fc.record({
    permissions: fc.array(permission, { maxLength: 2 }),
    rules: fc.array(limited, { maxLength: 2 }),
  })
  const held = fc.record({
    role: fc.nat(3),
    on: fc.constantFrom(undefined, { resource: 'posts', id: 'p1' }, { resource: 'notes', id: 'p1' }),
    ended: fc.boolean(),
  })
  const question = fc.record({
    resource: fc.constantFrom('posts', 'notes'),
    action,
    row: fc.constantFrom(
      undefined,
      ...['ann', 'bob'].flatMap((authorId) =>
        ['open', 'shut'].flatMap((state) => ['p1', 'p2'].map((id) => ({ id, authorId, state }))),
      ),
    ),
    fields: fc.constantFrom(undefined, ['title'], ['body'], ['title', 'body']),
  })
  const scenario = fc.record({
    roles: fc.tuple(role, role, role, role),
    // Each role may inherit from those after it.
    inherits: fc.tuple(fc.subarray([1, 2, 3]), fc.subarray([2, 3]), fc.subarray([3]), fc.constant<number[]>([])),
    held: fc.array(held, { maxLength: 3 }),
    questions: fc.array(question, { minLength: 5, maxLength: 10 }),
  })
  type Question = typeof question extends fc.Arbitrary<infer Q> ? Q : never

  function naive(roles: Map<string, Role>, held: readonly Assignment[], now: number, asked: Question): boolean {
    const rules = held
      .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
      .flatMap(({ role, on }) => rulesOf(roles, role).map((one) => ({ ...one, on })))
      .filter(({ permission }) => {
        const [resource, action = '*'] = permission.split(':')
        return [asked.resource, '*'].includes(resource ?? '') && [asked.action, '*'].includes(action)
      })
      .filter(({ on }) => !on || on.resource === asked.resource)
    const bears = (one: (typeof rules)[number], field: string | undefined) => {
      // What is not told is no reason for a yes, and no reason against a no.
      const unknown = one.effect === 'deny'
      const { row } = asked
      if (one.on && !(row ? row.id === one.on.id : unknown)) return false
      if (one.when && !(row ? matches(one.when, row) : unknown)) return false
      return !one.fields || (field ? one.fields.includes(field) : unknown)
    }
    return (asked.fields ?? [undefined]).every((field) => {
      const bearing = rules.filter((one) => bears(one, field))
      return bearing.some(({ effect }) => effect === 'allow') && bearing.every(({ effect }) => effect === 'allow')
    })
  }

  function rulesOf(roles: Map<string, Role>, key: string): Role['rules'] {
    const own = roles.get(key)
    if (!own) return []
    const plain = own.permissions.map((permission) => ({ effect: 'allow' as const, permission }))
    return [...plain, ...own.rules, ...own.inherits.flatMap((parent) => rulesOf(roles, parent))]
  }

  function matches(when: object, row: Record<string, string>): boolean {
    return Object.entries(when).every(([field, wanted]) => {
      if (typeof wanted === 'string') return row[field] === wanted
      return 'var' in wanted ? row[field] === 'ann' : wanted.$in.includes(row[field])
    })
  }

  it('decide as they read', async () => {
    const clock = fakeClock()
    let yes = 0
    let all = 0
    await fc.assert(
      fc.asyncProperty(scenario, async ({ roles, inherits, held, questions }) => {
        const rbac = createRbac({ logger, clock, resources, storage: memoryStorage() })
        const tenantId = 't'
        const document = Object.fromEntries(
          roles.map((one, i) => [`r${i}`, { ...one, inherits: inherits[i]?.map((parent) => `r${parent}`) ?? [] }]),
        )
        const { etag } = await rbac.policies.draft({ tenantId }, { roles: document } as PolicyDocument)
        await rbac.policies.publish({ tenantId }, { ifMatch: etag })
        for (const { role, on, ended } of held) {
          const expiresAt = clock.now() + (ended ? 1 : day)
          await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: `r${role}`, expiresAt, ...(on && { on }) })
        }
        clock.advance(1)
        const own = new Map((await rbac.roles.list({ tenantId })).data.map((one) => [one.key, one]))
        const assignments = (await rbac.assignments.list({ tenantId })).data
        const ability = await rbac.abilityFor({ userId: 'ann', tenantId })
        const answers = await rbac.checkMany('ann', questions, { tenantId })
        for (const [i, asked] of questions.entries()) {
          const expected = naive(own, assignments, clock.now(), asked)
          const { resource, action, ...about } = asked
          const given = { tenantId, ...about }
          const read = action as 'read'
          all++
          if (expected) yes++
          expect([
            answers[i],
            await rbac.checkPermission('ann', resource as 'posts', read, given),
            allows(ability as unknown as Ability, action, resource, about),
            (await rbac.explain('ann', resource as 'posts', read, given)).allowed,
            (await rbac.simulate({ tenantId, userId: 'ann', resource: resource as 'posts', action: read, ...about }))
              .allowed,
            (await rbac.whoCan(resource as 'posts', read, given)).includes('ann'),
          ]).toEqual(Array(6).fill(expected))
        }
      }),
      { numRuns: 150 },
    )
    // The property is worth nothing if the answer is always the same.
    expect(yes).toBeGreaterThan(all / 20)
    expect(yes).toBeLessThan((all * 19) / 20)
  })
})
