import { coreErrors, type Page, type Scope } from '@org/core'
import type { RoleCatalog } from './catalog.js'
import type { Role } from './schema.js'

export interface Roles {
  /** The roles that members of the tenant can be given. All fit one page today. */
  list(scope: Scope): Promise<Page<Role>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, key: string): Promise<Role>
}

export function createRoles(roles: RoleCatalog): Roles {
  return {
    list: async () => ({ data: roles.all(), next: null }),
    async get(_scope, key) {
      const role = roles.get(key)
      if (!role) throw coreErrors.not_found({ detail: `There is no role "${key}".` })
      return role
    },
  }
}
