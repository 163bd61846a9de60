import {
  checkScope,
  coreErrors,
  ExternalId,
  type Page,
  type PageQuery,
  PageQuery as Paging,
  paginate,
  parse,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import type { AssignmentWriter } from '../assignments/service.js'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { unexpired } from '../permissions/authority.js'
import type { RbacStores } from '../storage/port.js'
import { CreateTenant, type Membership, type Tenant, TenantView, UpdateTenant } from './schema.js'

export interface Tenants {
  /**
   * Makes a tenant with its first owner, who holds every role that the host calls `owner`. A first `assignments.assign`
   * does as well; this one is for hosts that want a name kept and twins refused. Emits `tenant.created` and
   * `assignment.created`.
   *
   * @throws ProblemError `tenant_exists` if it was made before; `invalid_input`.
   */
  create(scope: Scope, input: CreateTenant): Promise<Tenant>
  /** @throws ProblemError `not_found` for a tenant without a team. */
  get(scope: Scope): Promise<Tenant>
  /** Emits `tenant.updated`. @throws ProblemError `not_found`; `invalid_input`. */
  update(scope: Scope, input: UpdateTenant): Promise<Tenant>
  /**
   * Forgets a tenant: its team, roles, policies, invites and keys, whoever owns it. For the host's own code only: no
   * route does it. The audit log stays, for `audit.prune` and `audit.erase`; a tenant of the same id starts anew. Emits
   * `tenant.deleted`.
   *
   * @throws ProblemError `not_found` for a tenant without a team.
   */
  delete(scope: Scope): Promise<void>
  /**
   * The tenants that a user belongs to, the one joined last first: what a team switcher shows.
   *
   * @throws ProblemError `invalid_input`.
   */
  ofUser(userId: string, query?: PageQuery & { tx?: Tx | undefined }): Promise<Page<Membership>>
}

/** Whom a first owner is made. */
const ownerRole = 'owner'

export function createTenants(deps: Deps, writer: AssignmentWriter): Tenants {
  const { storage, roles, runtime, emit, change } = deps
  const about = ({ id, name }: Tenant) => ({ resource: { type: 'tenant', id }, data: { tenantId: id, name } })
  const shown = ({ id, ...tenant }: Tenant) => TenantView.parse({ tenantId: id, ...tenant })

  const existing = async (stores: RbacStores, tenantId: string, options?: { lock: boolean }): Promise<Tenant> => {
    const found = await stores.tenants.find(tenantId)
    if (found && (await stores.members.any(tenantId, options))) return found
    throw coreErrors.not_found({ detail: 'This tenant has no team yet.' })
  }

  return {
    async create(scope, input) {
      const { tenantId } = checkScope(scope)
      const { ownerId, name = null } = parse(CreateTenant, input)
      const role = roles.known(ownerRole)
      const createdAt = runtime.clock.now()
      return change(scope, async (stores, tx) => {
        const there = await stores.tenants.find(tenantId)
        if (there?.createdAt || (await stores.members.any(tenantId, { lock: true })))
          throw rbacErrors.tenant_exists({ detail: `"${tenantId}" has a team already.` })
        const tenant: Tenant = { id: tenantId, name, createdAt }
        await stores.tenants.update(tenantId, { name, createdAt })
        await emit(scope, { type: 'tenant.created', ...about(tenant), after: shown(tenant) }, tx)
        const draft = { userId: ownerId, role: role.key, roleId: role.id, on: null, expiresAt: null, createdAt }
        await writer.add(scope, stores, tx, draft)
        return tenant
      })
    },

    async get(scope) {
      const { tenantId, tx } = checkScope(scope)
      return storage.read((stores) => existing(stores, tenantId), tx)
    },

    async update(scope, input) {
      const { tenantId } = checkScope(scope)
      const { name } = parse(UpdateTenant, input)
      return change(scope, async (stores, tx) => {
        const before = await existing(stores, tenantId, { lock: true })
        const after = { ...before, name }
        await stores.tenants.update(tenantId, { name })
        const seen = { before: shown(before), after: shown(after) }
        await emit(scope, { type: 'tenant.updated', ...about(after), ...seen }, tx)
        return after
      })
    },

    async delete(scope) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      await change(scope, async (stores, tx) => {
        const tenant = await existing(stores, tenantId, { lock: true })
        for (const store of [stores.members, stores.assignments, stores.invites, stores.keys]) {
          await store.removeAll(tenantId)
        }
        await stores.policies.removeDraft(tenantId, null)
        const policy = await stores.policies.latest(tenantId, { lock: true })
        if (policy) {
          // Versions go on where they were: a process that remembers one must not take another's roles for it.
          const version = policy.version + 1
          const reset = { kind: 'reset' as const, basedOn: policy.version, note: null, roles: [], tests: [] }
          await stores.policies.insert({ tenantId, version, ...reset, author: actor, createdAt: runtime.clock.now() })
          await stores.policies.removeBefore(tenantId, version)
        }
        await stores.tenants.update(tenantId, { name: null, createdAt: null })
        await emit(scope, { type: 'tenant.deleted', ...about(tenant), before: shown(tenant) }, tx)
      })
    },

    async ofUser(userId, { tx, ...query } = {}) {
      parse(ExternalId, userId, '/userId')
      const page = parse(Paging, query)
      return storage.read(async (stores) => {
        const found = await paginate(
          page,
          ['string'],
          (slice) => stores.members.ofUser(userId, slice),
          (last) => [last.id],
        )
        const ids = found.data.map(({ tenantId }) => tenantId)
        const named = new Map((await stores.tenants.named(ids)).map(({ id, name }) => [id, name]))
        const held = unexpired(await stores.assignments.inTenants(userId, ids), runtime.clock.now())
        const data = found.data.map(({ tenantId, status }): Membership => {
          const own = held.filter((one) => one.tenantId === tenantId && one.on === null)
          return {
            tenantId,
            name: named.get(tenantId) ?? null,
            status,
            roles: [...new Set(own.map(({ role }) => role))],
          }
        })
        return { data, next: found.next }
      }, tx)
    },
  }
}
