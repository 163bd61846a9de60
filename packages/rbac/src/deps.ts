/** What every service of the module stands on. */
import type { Emit, Runtime } from '@org/core'
import type { rbacEvents } from './events.js'
import type { Catalog } from './permissions/catalog.js'
import type { RoleCatalog } from './roles/catalog.js'
import type { RbacStorage } from './storage/port.js'

export interface Deps {
  storage: RbacStorage
  runtime: Runtime
  catalog: Catalog
  roles: RoleCatalog
  emit: Emit<typeof rbacEvents>
}
