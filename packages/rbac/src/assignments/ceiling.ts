/** One ceiling for whoever hands out or takes away rights: nobody reaches above what they hold themselves. */
import { type Scope, systemActor } from '@org/core'
import { rbacErrors } from '../errors.js'
import { hasPermission, parsePermission } from '../permissions/permission.js'
import type { RoleCatalog } from '../roles/catalog.js'
import type { Role } from '../roles/schema.js'
import type { AssignmentStore } from './store.js'

export interface Ceiling {
  /**
   * Refuses unless the actor holds every permission of the roles. A wildcard is covered by a wildcard only, so that a
   * right added to the catalog later lifts nobody above who gave the role.
   *
   * @throws ProblemError `exceeds_own_rights` with `missing`, the permissions that the actor lacks.
   */
  require(wanted: readonly Role[]): Promise<void>
}

/** The host's own code (`system`) has no ceiling. Keys, which have no assignments of their own, hold nothing. */
export function ceilingOf(scope: Scope, store: AssignmentStore, roles: RoleCatalog): Ceiling | null {
  const { tenantId, actor = systemActor } = scope
  if (actor.type === 'system') return null
  return {
    async require(wanted) {
      const own = actor.type === 'user' ? await store.ofUser(tenantId, actor.id, { lock: true }) : []
      const held = roles.permissions(own.map(({ role }) => role))
      const missing = wanted.flatMap((role) => role.permissions).filter((permission) => !covers(held, permission))
      if (missing.length === 0) return
      const names = wanted.map(({ key }) => `"${key}"`).join(', ')
      throw rbacErrors.exceeds_own_rights({
        detail: `${names} holds ${missing.join(', ')}, which you do not.`,
        extensions: { missing },
      })
    },
  }
}

function covers(held: readonly string[], permission: string): boolean {
  const parts = parsePermission(permission)
  return parts !== null && hasPermission(held, parts.resource, parts.action)
}
