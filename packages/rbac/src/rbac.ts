/** Puts the module together. */
import {
  createEmit,
  createRuntime,
  type EventSink,
  type HttpModule,
  type RouterOptions,
  type RuntimeOptions,
  routesAbout,
  warnOfMemory,
} from '@org/core'
import { createFreshAccess } from './access.js'
import { assignmentRoutes } from './assignments/routes.js'
import { type Assignments, createAssignments, createAssignmentWriter } from './assignments/service.js'
import { createDenied } from './audit/denied.js'
import type { AuditOptions } from './audit/options.js'
import { auditRoutes } from './audit/routes.js'
import { type Audit, createAudit } from './audit/service.js'
import { createCachedAccess } from './cache/access.js'
import { type CacheOptions, cacheSettings } from './cache/options.js'
import { type CacheSync, startCacheSync } from './cache/sync.js'
import { createContext, type Identify } from './context.js'
import { createChange, type Deps } from './deps.js'
import type { rbacEvents } from './events.js'
import { type Given, type PermissionGuard, permissionGuard } from './guard.js'
import type { InviteOptions } from './invites/options.js'
import { inviteRoutes } from './invites/routes.js'
import { createInvites, type Invites } from './invites/service.js'
import { createKeyModule, type KeyOptions, type Keys } from './keys/keys.js'
import { keyRoutes } from './keys/routes.js'
import { memberRoutes } from './members/routes.js'
import { createMembers, type Members } from './members/service.js'
import { Catalog } from './permissions/catalog.js'
import { createCeiling } from './permissions/ceiling.js'
import type { Permission } from './permissions/permission.js'
import { type PredefinedResources, predefinedResources } from './permissions/predefined.js'
import type { Resources } from './permissions/resources.js'
import { permissionRoutes } from './permissions/routes.js'
import { createPermissions, type Permissions } from './permissions/service.js'
import { createPublish } from './policies/publish.js'
import { policyRoutes } from './policies/routes.js'
import { createPolicies, type Policies } from './policies/service.js'
import { createSimulations, type Simulations } from './policies/simulate.js'
import { createPolicyStates } from './policies/state.js'
import { predefinedBook } from './roles/catalog.js'
import { roleRoutes } from './roles/routes.js'
import type { RoleDefinitions } from './roles/schema.js'
import { createRoles, type Roles } from './roles/service.js'
import { memoryStorage } from './storage/memory/index.js'
import type { RbacStorage } from './storage/port.js'
import { tenantRoutes } from './tenants/routes.js'
import { createTenants, type Tenants } from './tenants/service.js'

export interface RbacOptions<R extends Resources> extends RuntimeOptions {
  /** The catalog; {@link predefinedResources} unless told. */
  resources?: R
  /** The roles by key; unless told, those of {@link predefinedRoles}, as far as the catalog has what they grant. */
  roles?: RoleDefinitions<NoInfer<R>>
  /** Where everything is kept; in memory unless told, which is lost with the process. */
  storage?: RbacStorage
  /** The look of API keys, and where their rate limits are counted. */
  keys?: KeyOptions
  /** Hear of every change inside its transaction. The audit log hears first by itself: it need not be listed. */
  events?: EventSink | readonly EventSink[]
  /** The host's mailer, and how it knows whose address is whose. */
  invites?: InviteOptions
  /** How the audit log is kept, sealed, anchored and streamed. */
  audit?: AuditOptions
  /** How rights are remembered between questions; `false` reads them from the database for each one. */
  cache?: CacheOptions | false
}

export interface Rbac<R extends Resources = PredefinedResources> extends Permissions<R>, Simulations<R> {
  readonly roles: Roles<Permission<R>>
  readonly policies: Policies
  readonly assignments: Assignments
  readonly tenants: Tenants
  readonly members: Members
  readonly invites: Invites
  readonly keys: Keys<Permission<R>>
  readonly audit: Audit
  /**
   * Makes the `context` that every router and guard wants, from who is signed in: `rbac.context((req) => …)`. A member
   * without any role in the tenant is let in, with no rights. For a request that carries an API key, `identify` answers
   * `{ apiKey }`: see {@link apiKeyOf}. It answers at once where rights are remembered, and else with a promise: `await` it.
   *
   * @throws ProblemError `setup_error`, on a request, if `identify` answers ids that are none.
   */
  context<Request>(identify: Identify<Request>): RouterOptions<Request>['context']
  /**
   * Listens on the `cache.bus` for changes that other processes make, until `stop()`. Only ever makes them count sooner.
   *
   * @throws ProblemError `setup_error` without a bus.
   */
  startCacheSync(): CacheSync
  /** What `requirePermission` stands on: checks the names at once, and a context when it is called. */
  guard(resource: string, action: string, given: Given): PermissionGuard
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
  if (!options.storage) warnOfMemory(runtime.logger, '@org/rbac')
  const storage = options.storage ?? memoryStorage()
  const catalog = new Catalog(options.resources ?? predefinedResources)
  const audit = createAudit({ storage, runtime, options: options.audit, events: options.events })
  const book = predefinedBook(catalog, options.roles)
  const reading = { storage, runtime, catalog, roles: book }
  const settings = options.cache === false ? null : cacheSettings(options.cache)
  const cached = settings && createCachedAccess(reading, settings)
  const access = cached ?? createFreshAccess(reading)
  const deps: Deps = {
    ...{ storage, runtime, catalog, roles: book, access },
    emit: createEmit<typeof rbacEvents>(runtime, audit.sink, options.events),
    ceiling: createCeiling({ roles: book, runtime }),
    change: createChange({ storage, access }),
  }
  const writer = createAssignmentWriter(deps)
  const states = createPolicyStates(deps)
  const publish = createPublish(deps, states)
  const roles = createRoles(deps, states, publish)
  const policies = createPolicies(deps, states, publish)
  const simulations = createSimulations<R>(deps, states)
  const assignments = createAssignments(deps, writer)
  const tenants = createTenants(deps, writer)
  const { keys, keyWriter, authenticate } = createKeyModule(deps, options.keys)
  const members = createMembers(deps, writer, keyWriter)
  const invites = createInvites(deps, writer, options.invites)
  const { me, check, checkAll, explainTo, whoCanOf, abilityOf, ...permissions } = createPermissions<R>(deps)

  return {
    ...permissions,
    roles,
    policies,
    ...simulations,
    assignments,
    tenants,
    members,
    invites,
    keys,
    audit,
    context: createContext(abilityOf, authenticate, createDenied(audit.log, runtime.logger, options.audit)),
    guard: (resource, action, given) => permissionGuard(catalog, book, resource, action, given),
    startCacheSync: () => startCacheSync(cached?.tenants, settings?.bus, runtime),
    catalog,
    http: {
      name: 'rbac',
      routes: [
        ...permissionRoutes({ me, check, checkAll, explainTo, whoCanOf }),
        ...routesAbout('role', roleRoutes(roles)),
        ...routesAbout('policy', policyRoutes(policies, simulations)),
        ...routesAbout('assignment', assignmentRoutes(assignments)),
        ...routesAbout('member', memberRoutes(members)),
        ...routesAbout('invite', inviteRoutes(invites)),
        ...routesAbout('key', keyRoutes(keys)),
        ...routesAbout('tenant', tenantRoutes(tenants)),
        ...auditRoutes(audit),
      ],
      runtime,
      storage,
    },
  }
}
