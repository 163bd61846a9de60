/** What a question about permissions costs. */
import { createMongoAbility } from '@casl/ability'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { createRbac, type Rbac, type Resources, type RoleDefinitions } from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import { knexStorage, migrate } from '@org/rbac/knex'
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin'
import express from 'express'
import type { Comparison } from '../../core/bench/harness.js'
import { served, silent } from '../../core/bench/http.js'

const tenantId = 'acme'
const scope = { tenantId }

async function developer() {
  const rbac = createRbac({ logger: silent })
  await rbac.assignments.assign(scope, { userId: 'dev', role: 'developer' })
  return rbac
}

/** What CASL itself makes of a developer. */
const bareAbility = () =>
  createMongoAbility([
    { action: 'manage', subject: 'keys' },
    { action: 'read', subject: 'analytics' },
  ])

/** The whole question, with its user, tenant and promise, which CASL's has not. */
const cachedCheck: Comparison = {
  bench: 'rbac/cached-check',
  subject: 'await checkPermission()',
  reference: 'can() of bare CASL',
  floor: 0.5,
  async open() {
    const rbac = await developer()
    const bare = bareAbility()
    return {
      subject: () => rbac.checkPermission('dev', 'keys', 'create', scope),
      reference: () => bare.can('create', 'keys'),
    }
  },
}

/** The ability that a request has: it comes from the cache, and is asked many times. */
const abilityCan: Comparison = {
  bench: 'rbac/ability-can',
  subject: 'can() of the cached ability',
  reference: 'can() of bare CASL',
  floor: 0.5,
  async open() {
    const rbac = await developer()
    const ability = await rbac.abilityFor({ tenantId, userId: 'dev' })
    const bare = bareAbility()
    return { subject: () => ability.can('create', 'keys'), reference: () => bare.can('create', 'keys') }
  },
}

const model = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act)
`

interface Team {
  resources: Resources
  roles: Record<string, { permissions: string[] }>
  /** userId → role. */
  members: [userId: string, role: string][]
}

/** The same roles and members for both. */
async function bothKnow({ resources, roles, members }: Team) {
  const rbac: Rbac<Resources> = createRbac<Resources>({
    ...{ logger: silent, resources },
    roles: roles as RoleDefinitions<Resources>,
  })
  for (const [userId, role] of members) await rbac.assignments.assign(scope, { userId, role })
  const lines = Object.entries(roles).flatMap(([role, { permissions }]) =>
    permissions.map((permission) => {
      const [object, action = '*'] = permission.split(':')
      return `p, ${role}, ${tenantId}, ${object}, ${action}`
    }),
  )
  const links = members.map(([userId, role]) => `g, ${userId}, ${role}, ${tenantId}`)
  const casbin = await newEnforcer(newModelFromString(model), new StringAdapter([...lines, ...links].join('\n')))
  return { rbac, casbin }
}

/** The five roles of an API gateway, a member of each. */
const fiveRoles: Team = {
  resources: Object.fromEntries(
    ['keys', 'analytics', 'team', 'webhooks', 'billing'].map((name) => [name, ['create', 'read', 'update', 'delete']]),
  ),
  roles: {
    owner: { permissions: ['*'] },
    admin: { permissions: ['keys:*', 'analytics:*', 'team:*', 'webhooks:*'] },
    developer: { permissions: ['keys:*', 'analytics:read'] },
    billing: { permissions: ['billing:*', 'analytics:read'] },
    read_only: { permissions: ['*:read'] },
  },
  members: ['owner', 'admin', 'developer', 'billing', 'read_only'].map((role) => [`${role}-1`, role]),
}

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`)

/** 1,000 users, 100 roles. */
const thousandUsers: Team = {
  resources: Object.fromEntries(numbered('data', 10).map((name) => [name, ['read', 'write']])),
  roles: Object.fromEntries(
    numbered('role', 100).map((role, i) => [role, { permissions: [`data${Math.floor(i / 10)}:read`] }]),
  ),
  members: numbered('user', 1000).map((userId, i) => [userId, `role${Math.floor(i / 10)}`]),
}

const casbinSync: Comparison = {
  bench: 'rbac/check-permission-five-roles',
  subject: 'await checkPermission()',
  reference: 'node-casbin enforceSync()',
  floor: 10,
  async open() {
    const { rbac, casbin } = await bothKnow(fiveRoles)
    return {
      subject: () => rbac.checkPermission('developer-1', 'analytics', 'read', scope),
      reference: () => casbin.enforceSync('developer-1', tenantId, 'analytics', 'read'),
    }
  },
}

const casbinAsync: Comparison = {
  bench: 'rbac/check-permission-1000-users',
  subject: 'await checkPermission()',
  reference: 'await node-casbin enforce()',
  floor: 1000,
  async open() {
    const { rbac, casbin } = await bothKnow(thousandUsers)
    return {
      subject: () => rbac.checkPermission('user501', 'data5', 'read', scope),
      reference: () => casbin.enforce('user501', tenantId, 'data5', 'read'),
    }
  },
}

const guarded: Comparison = {
  bench: 'rbac/guarded-route',
  subject: 'requirePermission in front',
  reference: 'bare Express handler',
  floor: 0.95,
  processes: 5,
  async open() {
    const rbac = await developer()
    const context = rbac.context(() => ({ tenantId, userId: 'dev' }))
    // An app for each: in one app, whoever comes second is looked for longer.
    const guarded = await served(
      express().get('/', requirePermission(rbac, 'keys', 'create', { context }), (_, res) => void res.json({})),
    )
    const bare = await served(express().get('/', (_, res) => void res.json({})))
    const close = async () => {
      await guarded.close()
      await bare.close()
    }
    return { subject: guarded.get('/'), reference: bare.get('/'), unitsPerCall: guarded.unitsPerCall, close }
  },
}

/** The first question about a member that is not remembered. */
async function coldLoads(): Promise<Comparison[]> {
  const databases = (await testDatabases()).filter(({ missing }) => !missing)
  return databases.map(({ name, open }) => ({
    bench: `rbac/cold-load-${name}`,
    subject: 'a member of 10,000, 100 roles',
    reference: 'a member of 10, 100 roles',
    floor: null,
    async open() {
      const database = await open()
      await migrate(database.knex)
      await fill(database, 'large', 10_000)
      await fill(database, 'small', 10)
      const storage = knexStorage(database.knex)
      const cold = (tenantId: string) => {
        // Strict, with room for one: each question reads the version, and loads a member anew.
        const cache = { maxEntries: 1, strict: true }
        const rbac = createRbac<Resources>({ storage, cache, logger: silent, ...hundredRoles })
        let asked = 0
        return () => rbac.checkPermission(`user${asked++ % 10}`, 'data0', 'read', { tenantId })
      }
      return { subject: cold('large'), reference: cold('small'), close: database.close }
    },
  }))
}

const hundredRoles = { resources: thousandUsers.resources, roles: thousandUsers.roles as RoleDefinitions<Resources> }

async function fill({ knex }: OpenDatabase, tenantId: string, members: number): Promise<void> {
  const users = numbered('user', members)
  const row = { tenant_id: tenantId, created_at: 0 }
  await knex('rbac_tenants').insert({ id: tenantId, version: 1 })
  await knex.batchInsert(
    'rbac_members',
    users.map((user_id) => ({ ...row, id: `mem_${tenantId}_${user_id}`, user_id, status: 'active' })),
    100,
  )
  await knex.batchInsert(
    'rbac_assignments',
    users.map((user_id, i) => {
      const role = `role${i % 100}`
      return { ...row, id: `asg_${tenantId}_${user_id}`, user_id, role, role_id: role, on_resource: '', on_id: '' }
    }),
    100,
  )
}

export const comparisons: Comparison[] = [
  cachedCheck,
  abilityCan,
  casbinSync,
  casbinAsync,
  guarded,
  ...(await coldLoads()),
]
