/** The calls that the guide shows, each run by a test. */
import { createMongoAbility, type RawRuleOf } from '@casl/ability'
import { type PackRule, unpackRules } from '@casl/ability/extra'
import {
  createRbac,
  defaultTenantId,
  defineResources,
  hasPermission,
  memoryDatabase,
  memoryStorage,
  type PredefinedResources,
  predefinedResources,
  predefinedRoles,
  type Rbac,
  type RbacAbility,
  type RequestContext,
  type Tx,
} from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import { knexStorage } from '@org/rbac/knex'
import { fakeClock } from '@org/rbac/testing'
import type { Request, RequestHandler } from 'express'
import type { Knex } from 'knex'

export async function firstOwner(rbac: Rbac) {
  await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'olga', role: 'owner' })
}

export async function signUp(
  knex: Knex,
  rbac: Rbac,
  { tenantId, name, userId }: Record<'tenantId' | 'name' | 'userId', string>,
) {
  await knex.transaction(async (tx) => {
    await tx('tenants').insert({ id: tenantId, name })
    await rbac.assignments.assign({ tenantId, tx }, { userId, role: 'owner' })
  })
}

export async function singleTenant(rbac: Rbac) {
  await rbac.assignments.assign({ tenantId: defaultTenantId }, { userId: 'olga', role: 'owner' })
  return rbac.checkPermission('olga', 'keys', 'delete')
}

export function ownCatalog(knex: Knex) {
  const rbac = createRbac({
    storage: knexStorage(knex),
    resources: defineResources({ ...predefinedResources, projects: ['create', 'read', 'archive'] }),
    roles: {
      ...predefinedRoles,
      project_lead: { name: 'Project lead', permissions: ['projects:*', 'team:read'] },
    },
  })
  return rbac
}

export function fieldGuard(
  knex: Knex,
  context: () => RequestContext | null | Promise<RequestContext | null>,
): { rbac: Pick<Rbac, 'context' | 'assignments'>; guard: RequestHandler } {
  const rbac = createRbac({
    storage: knexStorage(knex),
    resources: { ...predefinedResources, projects: ['read', 'update'] },
    roles: {
      ...predefinedRoles,
      namer: { rules: [{ effect: 'allow', permission: 'projects:update', fields: ['name', 'color'] }] },
    },
  })
  const guard: RequestHandler = requirePermission(rbac, 'projects', 'update', {
    context,
    fields: (req) => Object.keys(req.body ?? {}),
  })
  return { rbac, guard }
}

export async function askAnywhere(rbac: Rbac, tenantId: string) {
  const may = await rbac.checkPermission('dev', 'keys', 'create', { tenantId })
  const all = await rbac.checkMany(
    'dev',
    [
      { resource: 'keys', action: 'create' },
      { resource: 'team', action: 'read' },
    ],
    { tenantId },
  )
  return { may, all }
}

export async function questions(rbac: Rbac) {
  const tenantId = 'acme'
  const may = await rbac.checkPermission('dev', 'keys', 'create', { tenantId })
  const permissions = await rbac.getUserPermissions('dev', { tenantId })
  const ability = await rbac.abilityFor({ tenantId, userId: 'dev' })
  const why = await rbac.explain('dev', 'keys', 'create', { tenantId })
  const who = await rbac.whoCan('keys', 'create', { tenantId })
  return { may, permissions, ability, why, who }
}

export function pure(permissions: string[]) {
  return hasPermission(permissions, 'keys', 'create')
}

export function rowGuard(rbac: Rbac, knex: Knex, context: ReturnType<typeof rbac.context<Request>>): RequestHandler {
  const guard = requirePermission(rbac, 'keys', 'delete', {
    context,
    row: (req, { tenantId }) => knex('keys').where({ id: req.params.id, tenant_id: tenantId }).first(),
  })
  return guard
}

type PackedRules = PackRule<RawRuleOf<RbacAbility<PredefinedResources>>>[]

export async function browser(fetchMe: () => Promise<{ rules: PackedRules }>) {
  const { rules } = await fetchMe()
  const ability = createMongoAbility<RbacAbility<PredefinedResources>>(unpackRules(rules))
  return ability.can('create', 'keys')
}

export async function ownEntry(knex: Knex, rbac: Rbac, userId: string) {
  await knex.transaction(async (tx) => {
    await tx('keys').where({ id: 'key_1' }).delete()
    await rbac.audit.log(
      {
        tenantId: 'acme',
        actor: { type: 'user', id: userId },
        action: 'key.deleted',
        resource: { type: 'key', id: 'key_1' },
        before: { name: 'CI' },
      },
      { tx },
    )
  })
}

export async function lastWeek(rbac: Rbac, now: number) {
  const week = 7 * 24 * 60 * 60 * 1000
  const page = await rbac.audit.query({ tenantId: 'acme' }, { user: 'olga', from: now - week, limit: 100 })
  return page.data.map(({ time, action, resource }) => [new Date(time), action, resource?.id])
}

export async function tested() {
  const clock = fakeClock('2026-11-01T09:00:00Z')
  const rbac = createRbac({ storage: memoryStorage(), clock })
  await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
  clock.advance(60_000)
  await rbac.assignments.unassign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
  const log = await rbac.audit.query({ tenantId: 'acme' })
  return log.data.map(({ action, time }) => [action, new Date(time).toISOString()])
}

export async function testedTogether(work: (rbac: Rbac, tx: Tx) => Promise<void>) {
  const database = memoryDatabase()
  const rbac = createRbac({ storage: memoryStorage({ database }) })
  await database.transaction((tx) => work(rbac, tx))
}
