/** A tenant's policy at one version, ready to be asked. */
import { coreErrors } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import { checkDocument } from './check.js'
import { type ReadDocument, readDocument, rolesOf } from './document.js'
import type { PolicyTest, WhichPolicy } from './schema.js'

export interface PolicyState {
  /** For what is not published: the version that it would become. */
  version: number
  roles: readonly Role[]
  tests: readonly PolicyTest[]
  book: RoleBook
}

export interface PolicyStates {
  /** The one that counts. With `lock`, as it is now and stays until the transaction ends. */
  current(stores: RbacStores, tenantId: string, options?: { lock?: boolean }): Promise<PolicyState>
  /** @throws ProblemError `not_found`, as `of`. */
  version(stores: RbacStores, tenantId: string, version: number): Promise<PolicyState>
  /**
   * What would be if this document were published after `before`. Unless `newId` makes real ones, roles that are new have
   * ids that no assignment has.
   *
   * @throws ProblemError `invalid_input` at pointers below `root`.
   */
  next(before: PolicyState, document: ReadDocument, newId?: (key: string) => string, root?: string): PolicyState
  /** @throws ProblemError `not_found` for a version or a draft that is not there; `invalid_input` for a document. */
  of(stores: RbacStores, tenantId: string, which: WhichPolicy): Promise<PolicyState>
}

const provisional = (key: string) => `draft:${key}`

export function createPolicyStates({ catalog, roles: predefined }: Pick<Deps, 'catalog' | 'roles'>): PolicyStates {
  const stateOf = (version: number, roles: readonly Role[], tests: readonly PolicyTest[]): PolicyState => {
    const published = version === 0 ? null : { version, roles }
    return { version, roles, tests, book: predefined.with(published) }
  }
  const nothing = stateOf(0, [], [])

  const states: PolicyStates = {
    async current(stores, tenantId, options) {
      const found = await stores.policies.latest(tenantId, options)
      return found ? stateOf(found.version, found.roles, found.tests) : nothing
    },
    async version(stores, tenantId, version) {
      if (version === 0) return nothing
      const found = await stores.policies.find(tenantId, version)
      if (!found) throw coreErrors.not_found({ detail: `There is no version ${version} of the policy.` })
      return stateOf(version, found.roles, found.tests)
    },
    next(before, document, newId = provisional, root = '') {
      const roles = rolesOf(document, before.roles, newId)
      checkDocument({ catalog, predefined, before: before.roles, roles, tests: document.tests, root })
      return stateOf(before.version + 1, roles, document.tests)
    },
    async of(stores, tenantId, { version, draft, document }) {
      if (version !== undefined) return states.version(stores, tenantId, version)
      const current = await states.current(stores, tenantId)
      if (document !== undefined)
        return states.next(current, readDocument(document, '/document'), provisional, '/document')
      if (draft !== true) return current
      const saved = await stores.policies.draft(tenantId)
      if (!saved) throw coreErrors.not_found({ detail: 'There is no draft.' })
      return states.next(current, readDocument(saved.document))
    },
  }
  return states
}

/** @throws ProblemError `policy_stale` */
export function stale(detail: string) {
  return rbacErrors.policy_stale({ detail })
}
