/** Runs what docs/rbac/roles.md shows. */
import { fakeClock, testDatabases } from '@org/core/testing'
import { createRbac, memoryStorage } from '@org/rbac'
import { migrate } from '@org/rbac/knex'
import { expect, it } from 'vitest'
import * as samples from './samples/roles.js'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const scope = { tenantId: 'acme' }

it('roles in code do what the guide says', async () => {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  if (!sqlite) throw new Error('SQLite is always there')
  const { knex, close } = await sqlite.open()
  await migrate(knex)
  const rbac = samples.inCode(knex)
  await rbac.assignments.assign(scope, { userId: 'sue', role: 'support' })
  const held = await rbac.getUserPermissions('sue', scope)
  expect(held).toEqual(expect.arrayContaining(['keys:update', 'keys:read', 'team:read']))
  expect(held).not.toContain('billing:read')
  await close()
})

it('roles are given for a time, and over one thing', async () => {
  const clock = fakeClock()
  const rbac = createRbac({ storage: memoryStorage(), clock, logger })
  await samples.give(rbac, 'acme', clock.now())
  const may = (action: 'read' | 'update', row?: object) =>
    rbac.checkPermission('ann', 'webhooks', action, { ...scope, row })
  expect([await may('update', { id: 'whk_1' }), await may('update', { id: 'whk_2' })]).toEqual([true, false])
  expect(await rbac.checkPermission('ann', 'billing', 'read', scope)).toBe(true)
  clock.advance(30 * 24 * 60 * 60 * 1000)
  expect(await rbac.checkPermission('ann', 'billing', 'read', scope)).toBe(false)
})

it('roles of a tenant, policies, rollback and simulation do what the guide says', async () => {
  const rbac = createRbac({ storage: memoryStorage(), logger })
  expect(await samples.byTenant(rbac, scope)).toEqual(['analyst'])
  const { report, text, members, version } = await samples.publish(rbac, scope)
  expect([report.passed, report.failed, version]).toEqual([2, 0, 4])
  expect(text).toContain('+++ roles/lead_analyst\tdraft')
  expect(members).toEqual([])
  const { history, back } = await samples.rollBack(rbac, scope)
  expect(history.map(({ version, note }) => [version, note])[0]).toEqual([4, 'Analysts'])
  expect([back.version, back.basedOn, Object.keys(back.document.roles)]).toEqual([5, 1, ['analyst']])
  await rbac.assignments.assign(scope, { userId: 'ann', role: 'analyst' })
  await rbac.policies.draft(scope, { roles: { analyst: {}, lead_analyst: { permissions: ['keys:read'] } } })
  expect(await samples.whatIf(rbac, 'acme')).toEqual([false, true])
})
