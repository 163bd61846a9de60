/** What must and must not compile; `tsc` fails where an expected error is none. */
import { createMongoAbility, type MongoAbility, type RawRuleOf } from '@casl/ability'
import { type PackRule, unpackRules } from '@casl/ability/extra'
import type { Ability, RequestContext } from '@org/core'
import { testDatabases } from '@org/core/testing'
import {
  type ConcretePermission,
  createRbac,
  defineResources,
  type Permission,
  predefinedResources,
  predefinedRoles,
  type Rbac,
  type RbacAbility,
  type Resources,
} from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/express'
import { accessibleBy } from '@org/rbac/knex'
import { rbacRouter as koaRouter, requirePermission as requireOnKoa } from '@org/rbac/koa'
import type { Request } from 'express'
import type { Context } from 'koa'
import { describe, expect, expectTypeOf, it } from 'vitest'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const projects = { projects: ['read', 'archive'] } as const
const rbac = createRbac({ logger: silent, resources: defineResources({ ...predefinedResources, ...projects }) })
type R = typeof rbac extends Rbac<infer Resources> ? Resources : never

describe('types', () => {
  it('infer resources and actions from the catalog', async () => {
    expectTypeOf<ConcretePermission<typeof projects>>().toEqualTypeOf<'projects:read' | 'projects:archive'>()
    expectTypeOf<Permission<typeof projects>>().toEqualTypeOf<
      'projects:read' | 'projects:archive' | 'projects:*' | '*:read' | '*:archive' | '*'
    >()
    expectTypeOf(rbac.getUserPermissions).returns.resolves.items.toEqualTypeOf<ConcretePermission<R>>()
    await rbac.checkPermission('u', 'projects', 'archive')
    // @ts-expect-error no such resource
    await expect(rbac.checkPermission('u', 'project', 'read')).rejects.toThrow('/resource')
    // @ts-expect-error an action of another resource
    await expect(rbac.checkPermission('u', 'keys', 'archive')).rejects.toThrow('/action')
    // @ts-expect-error no such action
    await expect(rbac.whoCan('keys', 'erase')).rejects.toThrow('/action')
    await rbac.checkMany('u', [
      { resource: 'projects', action: 'archive' },
      { resource: 'keys', action: 'read' },
    ])
    // @ts-expect-error an action of another resource
    await expect(rbac.checkMany('u', [{ resource: 'keys', action: 'archive' }])).rejects.toThrow('/action')
    await rbac.simulate({ userId: 'u', resource: 'projects', action: 'archive' })
    // @ts-expect-error an action of another resource
    await expect(rbac.simulate({ userId: 'u', resource: 'keys', action: 'archive' })).rejects.toThrow('/action')
    const any: Rbac<Resources> = rbac
    expect(any).toBe(rbac)
    // @ts-expect-error no such resource
    await expect(rbac.explain('u', 'project', 'read')).rejects.toThrow('/resource')
  })

  it('refuse roles that grant what there is not', () => {
    const roles = { ...predefinedRoles, archivist: { name: 'Archivist', permissions: ['projects:archive'] } } as const
    createRbac({ logger: silent, resources: { ...predefinedResources, ...projects }, roles })
    // @ts-expect-error no such action
    expect(() => createRbac({ logger: silent, roles: { a: { permissions: ['keys:erase'] } } })).toThrow('keys:erase')
    // @ts-expect-error no such resource
    expect(() => createRbac({ logger: silent, roles: { a: { permissions: ['projects:*'] } } })).toThrow('projects')
  })

  it('make an ability that is CASL’s own and fits every module', async () => {
    const ability = await rbac.abilityFor({ userId: 'u' })
    expectTypeOf(ability).toExtend<Ability>()
    expectTypeOf<MongoAbility>().toExtend<Ability>()
    expect(ability.can('archive', 'projects')).toBe(false)
    expect(ability.can('manage', 'all')).toBe(false)
    // @ts-expect-error an action of another resource
    expect(ability.can('archive', 'keys')).toBe(false)
    // @ts-expect-error no such resource
    expect(ability.can('read', 'project')).toBe(false)
  })

  it('narrow queries, scope keys and make roles by the one catalog', async () => {
    const database = await (await testDatabases()).find(({ name }) => name === 'sqlite')?.open()
    if (!database) throw new Error('SQLite is always there')
    const projectsOf = () => database.knex('projects')
    const ability = await rbac.abilityFor({ userId: 'u' })
    expect(accessibleBy(projectsOf(), ability, 'archive', 'projects').toString()).toContain('1 = 0')
    // @ts-expect-error an action of another resource
    expect(accessibleBy(projectsOf(), ability, 'archive', 'keys').toString()).toContain('1 = 0')

    const scope = { tenantId: 't' }
    const { key } = await rbac.keys.create(scope, { name: 'CI', scopes: ['projects:archive', 'keys:*', '*:read'] })
    // @ts-expect-error an action of another resource
    await expect(rbac.keys.create(scope, { name: 'CI', scopes: ['keys:archive'] })).rejects.toThrow('/scopes/0')
    // @ts-expect-error no such resource
    await expect(rbac.keys.update(scope, key.id, { scopes: ['project:read'] })).rejects.toThrow('/scopes/0')

    const rules = [{ effect: 'deny', permission: 'projects:archive' }] as const
    await rbac.roles.create(scope, { key: 'archivist', permissions: ['projects:*'], rules })
    // @ts-expect-error an action of another resource
    await expect(rbac.roles.update(scope, 'archivist', { permissions: ['keys:archive'] })).rejects.toThrow(
      'keys:archive',
    )
    const wrong = { effect: 'allow', permission: 'project:read' } as const
    // @ts-expect-error no such resource
    await expect(rbac.roles.create(scope, { key: 'other', rules: [wrong] })).rejects.toThrow('project')
    await database.close()
  })

  it('come to a front end with the rules', () => {
    const rules: PackRule<RawRuleOf<RbacAbility<R>>>[] = [['archive', 'projects']]
    const ability = createMongoAbility<RbacAbility<R>>(unpackRules(rules))
    expect(ability.can('archive', 'projects')).toBe(true)
    // @ts-expect-error an action of another resource
    expect(ability.can('archive', 'keys')).toBe(false)
  })

  it('give `identify` the request of the framework where it is used', () => {
    rbacRouter(rbac, {
      context: rbac.context((req) => {
        expectTypeOf(req).toEqualTypeOf<Request>()
        return { userId: String(req.get('x-user')) }
      }),
    })
    const onKoa = koaRouter(rbac, {
      context: rbac.context(async (ctx) => {
        expectTypeOf(ctx).toEqualTypeOf<Context>()
        return { userId: ctx.get('x-user') }
      }),
    })
    expect(onKoa.stack).not.toHaveLength(0)
    const context = rbac.context((_req: Request) => null)
    expectTypeOf(context).returns.resolves.toEqualTypeOf<RequestContext | null>()
    // @ts-expect-error an identity has a user
    rbac.context((_req: Request) => ({ tenantId: 't' }))
  })

  it('guard only what the catalog has', () => {
    const context = rbac.context((_req: Request) => null)
    requirePermission(rbac, 'projects', 'archive', {
      context,
      row: (req, { tenantId }) => ({ id: req.params.id, tenantId }),
    })
    requireOnKoa(rbac, 'projects', 'archive', { context: rbac.context((_ctx) => null), row: async () => null })
    // @ts-expect-error no such action
    expect(() => requirePermission(rbac, 'projects', 'create', { context })).toThrow('known values: read, archive')
    // @ts-expect-error no such resource
    expect(() => requireOnKoa(rbac, 'project', 'read', { context })).toThrow('unknown value "project"')
    // @ts-expect-error nothing is open without a context
    expect(() => requirePermission(rbac, 'projects', 'read', {})).toThrow('context')
  })
})
