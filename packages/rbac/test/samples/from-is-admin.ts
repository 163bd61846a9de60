/** What the guide about `isAdmin` shows, each run by a test. */
import { defaultTenantId, type Rbac, type RequestContext } from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import type { Express } from 'express'
import type { Knex } from 'knex'

export async function giveRoles(knex: Knex, rbac: Rbac) {
  for (const user of await knex('users').select('id', 'is_admin')) {
    const role = user.is_admin ? 'admin' : 'read_only'
    await rbac.assignments.assign({ tenantId: defaultTenantId }, { userId: String(user.id), role })
  }
}

export async function setFlag(knex: Knex, rbac: Rbac, id: number, isAdmin: boolean) {
  await knex.transaction(async (tx) => {
    await tx('users').where({ id }).update({ is_admin: isAdmin })
    await rbac.members.setRoles({ tenantId: defaultTenantId, tx }, String(id), {
      roles: [isAdmin ? 'admin' : 'read_only'],
    })
  })
}

export function guardRoute(
  app: Express,
  rbac: Rbac,
  context: () => RequestContext | null | Promise<RequestContext | null>,
) {
  // Before: if (!user.isAdmin) return res.sendStatus(403)
  app.delete('/keys/:id', requirePermission(rbac, 'keys', 'delete', { context }), (_req, res) => {
    res.sendStatus(204)
  })
}

export async function compare(rbac: Rbac, user: { id: number; is_admin: unknown }) {
  const log: object[] = []
  const now = await rbac.checkPermission(String(user.id), 'keys', 'delete')
  if (now !== Boolean(user.is_admin)) log.push({ user: user.id, was: user.is_admin, now })
  return log
}
