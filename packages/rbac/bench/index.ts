import { createMongoAbility } from '@casl/ability'
import { createRbac } from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import express from 'express'
import type { Comparison } from '../../core/bench/harness.js'
import { served, silent } from '../../core/bench/http.js'

async function developer() {
  const rbac = createRbac({ logger: silent })
  await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
  return rbac
}

const can: Comparison = {
  bench: 'rbac/ability-can',
  subject: 'can() of abilityFor()',
  reference: 'can() of bare CASL',
  floor: null,
  async open() {
    const rbac = await developer()
    const ability = await rbac.abilityFor({ tenantId: 'acme', userId: 'dev' })
    const bare = createMongoAbility([
      { action: 'manage', subject: 'keys' },
      { action: 'read', subject: 'analytics' },
    ])
    return { subject: () => ability.can('create', 'keys'), reference: () => bare.can('create', 'keys') }
  },
}

const guarded: Comparison = {
  bench: 'rbac/guarded-route',
  subject: 'requirePermission in front (memory storage)',
  reference: 'bare Express handler',
  floor: null,
  async open() {
    const rbac = await developer()
    const context = rbac.context(() => ({ tenantId: 'acme', userId: 'dev' }))
    const app = express()
    app.get('/guarded', requirePermission(rbac, 'keys', 'create', { context }), (_, res) => void res.json({}))
    app.get('/bare', (_, res) => void res.json({}))
    const { get, close } = await served(app)
    return { subject: get('/guarded'), reference: get('/bare'), close }
  },
}

export const comparisons = [can, guarded]
