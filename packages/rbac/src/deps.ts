/** What every service of the module stands on. */
import type { Emit, Runtime, Scope, Tx } from '@org/core'
import type { AccessSource, Notice } from './access.js'
import type { rbacEvents } from './events.js'
import type { Catalog } from './permissions/catalog.js'
import type { Ceiling } from './permissions/ceiling.js'
import type { RoleBook } from './roles/book.js'
import type { RbacStorage, RbacStores } from './storage/port.js'

export interface Deps {
  storage: RbacStorage
  runtime: Runtime
  catalog: Catalog
  /** The host's own roles; `roles.with(policy)` has a tenant's as well. */
  roles: RoleBook
  emit: Emit<typeof rbacEvents>
  access: AccessSource
  ceiling: Ceiling
  change: Change
}

/**
 * Runs a change to a tenant's rights. It takes the tenant's lock first, which also marks the rights as changed, and
 * lets whoever remembers them know.
 */
export type Change = <T>(scope: Scope, work: (stores: RbacStores, tx: Tx) => Promise<T>) => Promise<T>

export function createChange({ storage, access }: Pick<Deps, 'storage' | 'access'>): Change {
  return async ({ tenantId, tx }, work) => {
    let notice: Notice | undefined
    try {
      const result = await storage.run(async (stores, own) => {
        await stores.tenants.touch(tenantId)
        notice = await access.announce(stores, tenantId, own)
        return work(stores, own)
      }, tx)
      access.changed(tenantId, tx, notice)
      return result
    } catch (error) {
      access.changed(tenantId, tx, undefined)
      throw error
    }
  }
}
