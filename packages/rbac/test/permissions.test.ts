import { recordingLogger } from '@org/core/testing'
import {
  createRbac,
  defineResources,
  hasPermission,
  memoryStorage,
  predefinedResources,
  predefinedRoles,
  type Resources,
} from '@org/rbac'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const logger = recordingLogger()
const create = (options: object) => createRbac({ logger, ...options })

describe('hasPermission', () => {
  it('understands single permissions and every wildcard', () => {
    expect(hasPermission(['keys:read'], 'keys', 'read')).toBe(true)
    expect(hasPermission(['keys:read'], 'keys', 'update')).toBe(false)
    expect(hasPermission(['keys:read'], 'analytics', 'read')).toBe(false)
    expect(hasPermission(['analytics:read', 'keys:*'], 'keys', 'delete')).toBe(true)
    expect(hasPermission(['keys:*'], 'analytics', 'delete')).toBe(false)
    expect(hasPermission(['*:read'], 'anything', 'read')).toBe(true)
    expect(hasPermission(['*:read'], 'anything', 'write')).toBe(false)
    for (const all of ['*', '*:*']) expect(hasPermission([all], 'anything', 'write')).toBe(true)
    expect(hasPermission([], 'keys', 'read')).toBe(false)
  })

  it('takes a question about everything as one', () => {
    expect(hasPermission(['keys:*'], 'keys', '*')).toBe(true)
    expect(hasPermission(['keys:create', 'keys:read', 'keys:update', 'keys:delete'], 'keys', '*')).toBe(false)
    expect(hasPermission(['*:read', 'keys:*'], '*', '*')).toBe(false)
    expect(hasPermission(['*'], '*', '*')).toBe(true)
  })

  it('takes nothing else for a permission, and no question for a yes', () => {
    for (const odd of ['keys', 'keys:', ':read', 'keys:read:own', '', ':', '**', 'keys.*', ' keys:read', 'KEYS:read']) {
      expect(hasPermission([odd], 'keys', 'read')).toBe(false)
    }
    const nothing = undefined as unknown as string
    for (const [resource, action] of [
      ['', 'read'],
      ['keys', ''],
      [nothing, 'read'],
      ['keys', nothing],
    ] as const) {
      expect(hasPermission(['*', 'keys:*', '*:read'], resource, action)).toBe(false)
    }
  })
})

describe('the catalog', () => {
  it('has the resources of an API gateway, each with the four usual actions', () => {
    expect(Object.keys(predefinedResources)).toEqual([
      ...['keys', 'analytics', 'team', 'webhooks', 'billing', 'roles', 'policies', 'audit'],
    ])
    for (const actions of Object.values(predefinedResources)) {
      expect(actions).toEqual(['create', 'read', 'update', 'delete'])
    }
  })

  it('refuses names that CASL or a permission would read in another way', () => {
    const bad = [
      'a,b',
      'a.b',
      'a:b',
      '*',
      'all',
      'manage',
      'Object',
      '',
      ' a',
      'a b',
      '__proto__',
      '1a',
      'x'.repeat(65),
    ]
    for (const name of bad) {
      const entry = Object.fromEntries([[name, ['read']]])
      expect(() => defineResources(entry), name).toThrow(/^The host.*The resource name/)
      expect(() => defineResources({ keys: [name] }), name).toThrow(/The action name/)
      expect(() => create({ resources: entry }), name).toThrow(/^The host.*The resource name/)
      expect(() => create({ roles: Object.fromEntries([[name, { permissions: [] }]]) }), name).toThrow(/The role name/)
    }
    expect(() => defineResources({ keys: [] })).toThrow('"keys" has no actions')
    expect(defineResources({ apiKeys: ['read-own'], api_keys: ['x2'] })).toEqual({
      apiKeys: ['read-own'],
      api_keys: ['x2'],
    })
  })
})

describe('roles', () => {
  it('are the five of an API gateway, with exactly these rights', () => {
    const rights = Object.entries(predefinedRoles).map(([key, { name, permissions }]) => [key, name, permissions])
    expect(rights).toEqual([
      ['owner', 'Owner', ['*']],
      ['admin', 'Admin', ['keys:*', 'analytics:*', 'team:*', 'webhooks:*']],
      ['developer', 'Developer', ['keys:*', 'analytics:read']],
      ['billing', 'Billing', ['billing:*', 'analytics:read']],
      ['read_only', 'Read Only', ['*:read']],
    ])
  })

  it('that grant what is not in the catalog are a set-up error with the known values', () => {
    const setup =
      (permissions: unknown, more = {}) =>
      () =>
        create({ roles: { support: { permissions, ...more } } })
    expect(setup(['kyes:read'])).toThrow(
      'The role "support": unknown resource "kyes" in "kyes:read"; known resources: keys, analytics, team, webhooks, ' +
        'billing, roles, policies, audit.',
    )
    expect(setup(['keys:raed'])).toThrow(
      'unknown action "raed" in "keys:raed"; known actions: create, read, update, delete',
    )
    expect(setup(['*:raed'])).toThrow('unknown action "raed"')
    expect(setup(['kyes:*'])).toThrow('unknown resource "kyes"')
    for (const odd of ['keys', 'keys:read:own', '', 'keys.read']) expect(setup([odd])).toThrow('is not a permission')
    expect(setup('keys:read')).toThrow('The role "support"')
    // Conditions would be ignored in silence: nothing compiles them into rules.
    expect(setup([], { conditions: { tenantId: undefined } })).toThrow('conditions')
    expect(setup(['keys:read'])).not.toThrow()
    try {
      setup(['kyes:read'])()
    } catch (error) {
      expect(error).toMatchObject({ code: 'setup_error' })
    }
  })

  it('list with display names, and are found by key', async () => {
    const scope = { tenantId: 't' }
    const rbac = create({ roles: { ...predefinedRoles, support: { permissions: ['keys:read', 'keys:read', '*:*'] } } })
    const { data, next } = await rbac.roles.list(scope)
    expect(next).toBeNull()
    expect(data.map(({ name }) => name)).toEqual(['Owner', 'Admin', 'Developer', 'Billing', 'Read Only', 'support'])
    expect(await rbac.roles.get(scope, 'support')).toEqual({
      ...{ id: 'support', key: 'support', name: 'support', description: null, custom: false },
      ...{ inherits: [], permissions: ['keys:read', '*'], rules: [] },
    })
    for (const none of [{}, undefined] as { tenantId: string }[]) {
      const noTenant = { code: 'invalid_input', errors: [{ pointer: '/tenantId' }] }
      await expect(rbac.roles.list(none)).rejects.toMatchObject(noTenant)
      await expect(rbac.roles.get(none, 'support')).rejects.toMatchObject(noTenant)
    }
    await expect(rbac.roles.get(scope, 'boss')).rejects.toMatchObject({ code: 'not_found' })
    await expect(rbac.roles.get(scope, 'constructor')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('shrink to a smaller catalog when the host names none', async () => {
    const { data } = await create({ resources: { keys: ['read', 'create'] } }).roles.list({ tenantId: 't' })
    expect(data.map(({ key, permissions }) => [key, permissions])).toEqual([
      ['owner', ['*']],
      ['admin', ['keys:*']],
      ['developer', ['keys:*']],
      ['billing', []],
      ['read_only', ['*:read']],
    ])
  })
})

describe('questions', () => {
  const rights: Record<string, string[]> = {
    owner: Object.entries(predefinedResources).flatMap(([resource, actions]) => actions.map((a) => `${resource}:${a}`)),
    admin: ['keys', 'analytics', 'team', 'webhooks'].flatMap((r) =>
      ['create', 'read', 'update', 'delete'].map((a) => `${r}:${a}`),
    ),
    developer: ['keys:create', 'keys:read', 'keys:update', 'keys:delete', 'analytics:read'],
    billing: ['billing:create', 'billing:read', 'billing:update', 'billing:delete', 'analytics:read'],
    read_only: Object.keys(predefinedResources).map((resource) => `${resource}:read`),
  }

  it('get the same answer from every function, for every role and permission', async () => {
    const rbac = create({})
    for (const role of Object.keys(rights))
      await rbac.assignments.assign({ tenantId: 'default' }, { userId: role, role })
    for (const [role, expected] of Object.entries(rights)) {
      expect(await rbac.getUserPermissions(role)).toEqual([...expected].sort())
      await agree(rbac, role)
    }
  })

  it('get the same answer from every function, for any catalog and roles', async () => {
    const name = fc.constantFrom('alpha', 'beta', 'gamma', 'delta')
    const catalog = fc.dictionary(name, fc.uniqueArray(name, { minLength: 1 }), { minKeys: 1, noNullPrototype: true })
    const scenario = catalog.chain((resources) => {
      const actions = [...new Set(Object.values(resources).flat())]
      const concrete = Object.entries(resources).flatMap(([r, list]) => [`${r}:*`, ...list.map((a) => `${r}:${a}`)])
      const permission = fc.constantFrom('*', '*:*', ...actions.map((a) => `*:${a}`), ...concrete)
      return fc.record({ resources: fc.constant(resources), roles: fc.array(fc.array(permission), { maxLength: 3 }) })
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ resources, roles }) => {
        const named = Object.fromEntries(roles.map((permissions, i) => [`role${i}`, { permissions }]))
        const rbac = createRbac<Resources>({ logger, resources, roles: named as never, storage: memoryStorage() })
        for (const role of Object.keys(named))
          await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'u', role })
        await agree(rbac, 'u', roles.flat())
      }),
      { numRuns: 200 },
    )
  })

  async function agree(rbac: ReturnType<typeof createRbac<Resources>>, userId: string, held?: string[]) {
    const permissions = await rbac.getUserPermissions(userId)
    const ability = await rbac.abilityFor({ userId })
    expect(permissions).toEqual([...new Set(permissions)].sort())
    for (const [resource, actions] of Object.entries(await catalogOf(rbac))) {
      for (const action of actions) {
        const answer = permissions.includes(`${resource}:${action}`)
        expect(await rbac.checkPermission(userId, resource, action)).toBe(answer)
        expect(await rbac.checkPermission(userId, resource, action, { row: { id: 1 } })).toBe(answer)
        expect(ability.can(action, resource)).toBe(answer)
        expect(hasPermission(permissions, resource, action)).toBe(answer)
        if (held) expect(hasPermission(held, resource, action)).toBe(answer)
        expect((await rbac.whoCan(resource, action)).includes(userId)).toBe(answer)
        const { allowed, grants } = await rbac.explain(userId, resource, action)
        expect(allowed).toBe(answer)
        expect(grants.length > 0).toBe(answer)
      }
    }
  }

  /** What an owner of everything may do, as resource → actions. */
  async function catalogOf(rbac: ReturnType<typeof createRbac<Resources>>) {
    const all: Record<string, string[]> = {}
    for (const permission of rbac.catalog.expand(['*'])) {
      const [resource = '', action = ''] = permission.split(':')
      all[resource] = [...(all[resource] ?? []), action]
    }
    return all
  }

  it('name what is unknown, and what is known', async () => {
    const rbac = createRbac<Resources>({ logger, resources: predefinedResources, storage: memoryStorage() })
    const nothing = undefined as unknown as string
    const wrong = [
      ['kyes', 'read', '/resource', 'unknown value "kyes"; known values: keys, analytics, team'],
      ['keys', 'raed', '/action', 'unknown value "raed"; known values: create, read, update, delete'],
      ['*', 'read', '/resource', 'unknown value "*"'],
      ['keys', '*', '/action', 'unknown value "*"'],
      ['all', 'manage', '/resource', 'unknown value "all"'],
      ['constructor', 'read', '/resource', 'unknown value "constructor"'],
      [nothing, 'read', '/resource', 'unknown value "undefined"'],
      ['keys', nothing, '/action', 'unknown value "undefined"'],
    ] as const
    for (const [resource, action, pointer, detail] of wrong) {
      const problem = { code: 'invalid_input', errors: [{ pointer, detail: expect.stringContaining(detail) }] }
      await expect(rbac.checkPermission('u', resource, action)).rejects.toMatchObject(problem)
      await expect(rbac.explain('u', resource, action)).rejects.toMatchObject(problem)
      await expect(rbac.whoCan(resource, action)).rejects.toMatchObject(problem)
    }
    for (const userId of ['', ' u', 'u'.repeat(129), nothing, null as unknown as string]) {
      const problem = {
        code: 'invalid_input',
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/userId' })]),
      }
      await expect(rbac.checkPermission(userId, 'keys', 'read')).rejects.toMatchObject(problem)
      await expect(rbac.getUserPermissions(userId)).rejects.toMatchObject(problem)
      await expect(rbac.abilityFor({ userId })).rejects.toMatchObject(problem)
    }
    const tenant = {
      code: 'invalid_input',
      errors: expect.arrayContaining([expect.objectContaining({ pointer: '/tenantId' })]),
    }
    await expect(rbac.checkPermission('u', 'keys', 'read', { tenantId: '' })).rejects.toMatchObject(tenant)
    await expect(rbac.whoCan('keys', 'read', { tenantId: '' })).rejects.toMatchObject(tenant)
  })

  it('explain a yes by assignment, role and permission, and a no by the roles that do not grant it', async () => {
    const rbac = create({})
    const scope = { tenantId: 't' }
    const developer = await rbac.assignments.assign(scope, { userId: 'ann', role: 'developer' })
    const reader = await rbac.assignments.assign(scope, { userId: 'ann', role: 'read_only' })
    const about = { tenantId: 't', userId: 'ann', roles: ['developer', 'read_only'], policyVersion: 0, denies: [] }
    const ground = (assignmentId: string, role: string, permission: string) => ({
      ...{ assignmentId, role, permission, effect: 'allow', path: [role], on: null },
    })
    expect(await rbac.explain('ann', 'analytics', 'read', scope)).toEqual({
      ...{ ...about, allowed: true, reason: 'granted', resource: 'analytics', action: 'read' },
      grants: [ground(developer.id, 'developer', 'analytics:read'), ground(reader.id, 'read_only', '*:read')],
      decidedBy: ground(reader.id, 'read_only', '*:read'),
      wouldAllow: [],
    })
    expect(await rbac.explain('ann', 'billing', 'update', scope)).toEqual({
      ...{ ...about, allowed: false, reason: 'not_granted', resource: 'billing', action: 'update', grants: [] },
      ...{ decidedBy: null, wouldAllow: ['owner', 'billing'] },
    })
  })
})
