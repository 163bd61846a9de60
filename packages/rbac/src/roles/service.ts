import { checkScope, coreErrors, type Page, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import type { Role } from './schema.js'

export interface Roles {
  /**
   * The roles that members of the tenant can be given. All fit one page today.
   *
   * @throws ProblemError `invalid_input`.
   */
  list(scope: Scope): Promise<Page<Role>>
  /** @throws ProblemError `invalid_input`; `not_found`. */
  get(scope: Scope, key: string): Promise<Role>
}

export function createRoles({ roles }: Pick<Deps, 'roles'>): Roles {
  return {
    async list(scope) {
      checkScope(scope)
      return { data: roles.all(), next: null }
    },
    async get(scope, key) {
      checkScope(scope)
      const role = roles.get(key)
      if (!role) throw coreErrors.not_found({ detail: `There is no role "${key}".` })
      return role
    },
  }
}
