/**
 * Projects and their API keys: the host's own tables, written as any host writes them. What is new are two lines in the
 * transaction: a webhook that is sent, and an audit entry that exists, if and only if the key's row commits.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import { sha256, type User } from './accounts.js'
import type { Modules } from './modules.js'

export class NameTaken extends Error {}

export async function createProject(db: Knex, user: User, name: string) {
  const project = { id: `prj_${randomUUID()}`, tenant_id: user.tenantId, name }
  await db('projects').insert(project)
  return { id: project.id, name }
}

/** The key's secret is in the answer and nowhere else. Null if the project is not this tenant's. */
export async function createKey(db: Knex, modules: Modules, user: User, projectId: string, name: string) {
  const secret = `gw_${randomBytes(24).toString('base64url')}`
  const key = { id: `key_${randomUUID()}`, tenant_id: user.tenantId, project_id: projectId, name, hash: sha256(secret) }
  const event = { tenantId: user.tenantId, type: 'key.created', data: { keyId: key.id, name, projectId } } as const

  return db.transaction(async (tx) => {
    const project = await tx('projects').where({ id: projectId, tenant_id: user.tenantId }).first()
    if (!project) return null
    await modules.webhooks.publish(event, { tx })
    await modules.rbac.audit.log(audited(event, user, key.id), { tx })
    const inserted = await tx('keys').insert(key).onConflict(['project_id', 'name']).ignore().returning('id')
    // The name is taken: the transaction rolls back, and with it the webhook and the audit entry above.
    if (inserted.length === 0) throw new NameTaken(name)
    return { id: key.id, name, secret }
  })
}

/** False if there is no such key in this tenant. */
export async function revokeKey(db: Knex, modules: Modules, user: User, keyId: string): Promise<boolean> {
  const event = { tenantId: user.tenantId, type: 'key.revoked', data: { keyId } } as const
  return db.transaction(async (tx) => {
    const own = tx('keys').where({ id: keyId, tenant_id: user.tenantId }).whereNull('revoked_at')
    if ((await own.update({ revoked_at: Date.now() })) === 0) return false
    await modules.webhooks.publish(event, { tx })
    await modules.rbac.audit.log(audited(event, user, keyId), { tx })
    return true
  })
}

export async function listKeys(db: Knex, user: User) {
  return db('keys')
    .where({ tenant_id: user.tenantId })
    .select('id', 'name', 'project_id as projectId', 'revoked_at as revokedAt')
}

/** Whose key this is, or null if it is unknown or revoked. */
export async function keyOfSecret(db: Knex, secret: string | undefined) {
  if (!secret) return null
  const row = await db('keys')
    .where({ hash: sha256(secret) })
    .whereNull('revoked_at')
    .first('id', 'tenant_id')
  return row ? { id: row.id as string, tenantId: row.tenant_id as string } : null
}

function audited(event: { tenantId: string; type: string; data: Record<string, unknown> }, user: User, keyId: string) {
  return {
    tenantId: event.tenantId,
    actor: { type: 'user' as const, id: user.id },
    action: event.type,
    resource: { type: 'key', id: keyId },
    data: event.data,
  }
}
