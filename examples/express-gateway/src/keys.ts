/**
 * Projects are the host's own table; their API keys are rbac's. One transaction spans both: the key, its webhook and its
 * audit entry exist if and only if the host's row commits.
 */
import { randomUUID } from 'node:crypto'
import type { Scope } from '@org/rbac'
import type { Knex } from 'knex'
import type { Modules } from './modules.js'

export class NameTaken extends Error {}

export async function createProject(db: Knex, { tenantId }: Scope, name: string) {
  const project = { id: `prj_${randomUUID()}`, tenant_id: tenantId, name }
  await db('projects').insert(project)
  return { id: project.id, name }
}

/** The key's secret is in the answer and nowhere else. Null if the project is not this tenant's. */
export async function createKey(db: Knex, { rbac }: Modules, scope: Scope, projectId: string, name: string) {
  return db.transaction(async (tx) => {
    const project = await tx('projects').where({ id: projectId, tenant_id: scope.tenantId }).first()
    if (!project) return null
    const rateLimit = { limit: 50, windowMs: 1000 }
    const { key, secret } = await rbac.keys.create({ ...scope, tx }, { name, scopes: ['requests:create'], rateLimit })
    const row = { key_id: key.id, project_id: projectId, name }
    const inserted = await tx('project_keys')
      .insert(row)
      .onConflict(['project_id', 'name'])
      .ignore()
      .returning('key_id')
    // The name is taken: the transaction rolls back, and with it the key, the webhook and the audit entry above.
    if (inserted.length === 0) throw new NameTaken(name)
    return { id: key.id, name, secret }
  })
}
