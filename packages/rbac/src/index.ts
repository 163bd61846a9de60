/** Roles, permissions and an audit log for an existing app. Start at {@link createRbac}. */
import {
  createEmit,
  createRuntime,
  type EventSink,
  type HttpModule,
  type RequestContext,
  type RuntimeOptions,
} from '@org/core'
import { assignmentRoutes } from './assignments/routes.js'
import { type Assignments, createAssignments } from './assignments/service.js'
import { auditRoutes } from './audit/routes.js'
import { type Audit, createAudit } from './audit/service.js'
import { createContext, type Identify } from './context.js'
import type { rbacEvents } from './events.js'
import { Catalog } from './permissions/catalog.js'
import { type PredefinedResources, predefinedResources } from './permissions/predefined.js'
import type { Resources } from './permissions/resources.js'
import { permissionRoutes } from './permissions/routes.js'
import { createPermissions, type Permissions } from './permissions/service.js'
import { RoleCatalog } from './roles/catalog.js'
import { roleRoutes } from './roles/routes.js'
import type { RoleDefinitions } from './roles/schema.js'
import { createRoles, type Roles } from './roles/service.js'
import { memoryStorage } from './storage/memory.js'
import type { RbacStorage } from './storage/port.js'

export { contextOf } from '@org/core'
export { Assignment, AssignmentQuery, AssignRole } from './assignments/schema.js'
export type { Assignments } from './assignments/service.js'
export type { AssignmentFilter, AssignmentStore, ReadOptions } from './assignments/store.js'
export { AuditEntry, AuditQuery, AuditResource, LogAuditEntry, Outcome } from './audit/schema.js'
export type { Audit } from './audit/service.js'
export type { AuditFilter, AuditStore } from './audit/store.js'
export type { Identify, Identity } from './context.js'
export { rbacErrors } from './errors.js'
export { rbacEvents } from './events.js'
export type { RbacAbility } from './permissions/ability.js'
export type { Catalog } from './permissions/catalog.js'
export { type ConcretePermission, hasPermission, type Permission } from './permissions/permission.js'
export { type PredefinedResources, predefinedResources } from './permissions/predefined.js'
export {
  type ActionOf,
  defineResources,
  type ResourceOf,
  type Resources,
} from './permissions/resources.js'
export { CheckPermission, type Explanation, type Me } from './permissions/schema.js'
export type { AskOptions, CheckOptions, Permissions } from './permissions/service.js'
export { predefinedRoles } from './roles/predefined.js'
export { Role, RoleDefinition, type RoleDefinitions } from './roles/schema.js'
export type { Roles } from './roles/service.js'
export { memoryStorage } from './storage/memory.js'
export type { RbacStorage, RbacStores } from './storage/port.js'
export { defaultTenantId } from './tenants/default.js'
export type { TenantStore } from './tenants/store.js'

export interface RbacOptions<R extends Resources> extends RuntimeOptions {
  /** The catalog; {@link predefinedResources} unless told. */
  resources?: R
  /** The roles by key; unless told, those of {@link predefinedRoles}, as far as the catalog has what they grant. */
  roles?: RoleDefinitions<NoInfer<R>>
  /** Where everything is kept; in memory unless told, which is lost with the process. */
  storage?: RbacStorage
  /** Hear of every change inside its transaction. The audit log hears first by itself: it need not be listed. */
  events?: EventSink | readonly EventSink[]
}

export interface Rbac<R extends Resources = PredefinedResources> extends Permissions<R> {
  readonly roles: Roles
  readonly assignments: Assignments
  readonly audit: Audit
  /**
   * Makes the `context` that every router and guard wants, from who is signed in: `rbac.context((req) => …)`. A member
   * without any role in the tenant is let in, with no rights.
   *
   * @throws ProblemError `setup_error`, on a request, if `identify` answers ids that are none.
   */
  context<Request>(identify: Identify<Request>): (request: Request) => Promise<RequestContext | null>
  /** The resources and actions that there are. */
  readonly catalog: Catalog
  /** For the routers, and for `openapi` of @org/core. */
  readonly http: HttpModule
}

/**
 * Makes the module. Nothing starts, and no table is made.
 *
 * @throws ProblemError `setup_error` for a role that grants what the catalog does not know, or an impossible name.
 */
export function createRbac<const R extends Resources = PredefinedResources>(options: RbacOptions<R> = {}): Rbac<R> {
  const runtime = createRuntime(options)
  const catalog = new Catalog(options.resources ?? predefinedResources)
  const roles = new RoleCatalog(catalog, options.roles)
  const storage = options.storage ?? temporaryStorage(runtime.logger)

  const audit = createAudit(storage, runtime)
  const emit = createEmit<typeof rbacEvents>(runtime, audit.sink, options.events)

  const listed = createRoles(roles)
  const assignments = createAssignments({ storage, roles, runtime, emit })
  const { me, check, abilityOf, ...permissions } = createPermissions<R>({ storage, catalog, roles })

  return {
    ...permissions,
    roles: listed,
    assignments,
    audit,
    context: createContext(abilityOf),
    catalog,
    http: {
      name: 'rbac',
      routes: [
        ...permissionRoutes({ me, check }),
        ...roleRoutes(listed),
        ...assignmentRoutes(assignments),
        ...auditRoutes(audit),
      ],
      runtime,
      storage,
    },
  }
}

function temporaryStorage(logger: { warn(message: string): void }): RbacStorage {
  logger.warn('@org/rbac keeps roles and the audit log in memory; pass `storage: knexStorage(knex)` to keep them.')
  return memoryStorage()
}
