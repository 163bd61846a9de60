/** What the guide about roles shows, each run by a test. */
import { createRbac, predefinedRoles, type Rbac, type Scope } from '@org/rbac'
import { knexStorage } from '@org/rbac/knex'
import type { Knex } from 'knex'

export function inCode(knex: Knex) {
  const rbac = createRbac({
    storage: knexStorage(knex),
    roles: {
      ...predefinedRoles,
      support: {
        name: 'Support',
        description: 'Helps customers with their keys',
        inherits: ['read_only'],
        permissions: ['keys:update'],
        rules: [{ effect: 'deny', permission: 'billing:read' }],
      },
    },
  })
  return rbac
}

export async function give(rbac: Rbac, tenantId: string, now: number) {
  const day = 24 * 60 * 60 * 1000
  await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'developer' })
  await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'billing', expiresAt: now + 30 * day })
  const on = { resource: 'webhooks', id: 'whk_1' }
  await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'admin', on })
}

export async function byTenant(rbac: Rbac, scope: Scope) {
  await rbac.roles.create(scope, {
    key: 'analyst',
    name: 'Analyst',
    permissions: ['analytics:read', 'keys:read'],
  })
  await rbac.roles.update(scope, 'analyst', { permissions: ['analytics:*', 'keys:read'] })
  const { data } = await rbac.roles.list(scope)
  const own = data.filter(({ custom }) => custom).map(({ key }) => key)
  await rbac.roles.delete(scope, 'analyst')
  return own
}

export async function publish(rbac: Rbac, scope: Scope) {
  const draft = await rbac.policies.draft(scope, {
    roles: {
      analyst: { name: 'Analyst', permissions: ['analytics:read'] },
      lead_analyst: { inherits: ['analyst'], permissions: ['keys:read'] },
    },
    tests: [
      { name: 'analysts read', roles: ['analyst'], permission: 'analytics:read', expect: 'allow' },
      { name: 'leads make no keys', roles: ['lead_analyst'], permission: 'keys:create', expect: 'deny' },
    ],
  })
  const report = await rbac.policies.test(scope)
  const { text, members } = await rbac.policies.diff(scope)
  const { version } = await rbac.policies.publish(scope, { ifMatch: draft.etag, note: 'Analysts' })
  return { report, text, members, version }
}

export async function rollBack(rbac: Rbac, scope: Scope) {
  const { data: history } = await rbac.policies.list(scope)
  const back = await rbac.policies.rollback(scope, { version: 1, note: 'Too much for leads' })
  return { history, back }
}

export async function whatIf(rbac: Rbac, tenantId: string) {
  const read = { tenantId, resource: 'keys', action: 'read' } as const
  const then = await rbac.simulate({ ...read, userId: 'ann', version: 1 })
  const soon = await rbac.simulate({ ...read, roles: ['lead_analyst'], draft: true })
  return [then.allowed, soon.allowed]
}
