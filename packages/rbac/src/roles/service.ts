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

export function createRoles({ storage, roles }: Pick<Deps, 'storage' | 'roles'>): Roles {
  const bookOf = async (scope: Scope) => {
    const { tenantId, tx } = checkScope(scope)
    return roles.with(await storage.read(({ policies }) => policies.current(tenantId), tx))
  }

  return {
    async list(scope) {
      return { data: (await bookOf(scope)).all(), next: null }
    },
    async get(scope, key) {
      const role = (await bookOf(scope)).get(key)
      if (!role) throw coreErrors.not_found({ detail: `There is no role "${key}".` })
      return role
    },
  }
}
