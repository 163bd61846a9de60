import { checkScope, coreErrors, isProblem, type Page, parse, type Scope, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { definitionOf, documentOf, type ReadDocument, saysTheSame } from '../policies/document.js'
import type { Publish } from '../policies/publish.js'
import type { PolicyState, PolicyStates } from '../policies/state.js'
import type { RbacStores } from '../storage/port.js'
import { roleOf } from './catalog.js'
import { CreateRole, type Role, RoleView, UpdateRole } from './schema.js'

/** `P` are the permissions that roles can name. */
export interface Roles<P extends string = string> {
  /**
   * The roles that members of the tenant can be given: the host's own, then the tenant's (`custom`). All fit one page.
   *
   * @throws ProblemError `invalid_input`.
   */
  list(scope: Scope): Promise<Page<Role>>
  /** @throws ProblemError `invalid_input`; `not_found`. */
  get(scope: Scope, key: string): Promise<Role>
  /**
   * Makes a role for this tenant only, as a new version of its policy; a draft that was begun before becomes stale. Emits
   * `role.created`.
   *
   * @throws ProblemError `invalid_input` with the known names; `role_exists`; `exceeds_own_rights` if it grants what the
   *   actor lacks; `last_owner` if it denies something to the last one, by a role that inherits from this key;
   *   `policy_tests_failed`.
   */
  create(scope: Scope, input: CreateRole<P>): Promise<Role>
  /**
   * Changes what is named of one of the tenant's roles, for all who have it, as a new version of its policy. Nothing
   * happens if it is so already. Emits `role.updated`.
   *
   * @throws ProblemError `not_found`; `role_predefined`; `invalid_input`; `exceeds_own_rights` if the role, or one that
   *   inherits from it, has or had what the actor lacks; `last_owner`; `policy_tests_failed`.
   */
  update(scope: Scope, key: string, patch: UpdateRole<P>): Promise<Role>
  /**
   * Removes one of the tenant's roles, as a new version of its policy. A role of the same key that is made later is
   * another one. Emits `role.deleted`.
   *
   * @throws ProblemError `not_found`; `role_predefined`; `role_in_use` if somebody has it, or another role or a test
   *   names it; `exceeds_own_rights`; `policy_tests_failed`.
   */
  delete(scope: Scope, key: string): Promise<void>
}

export function createRoles(deps: Deps, states: PolicyStates, publish: Publish): Roles {
  const { storage, roles, emit, change } = deps
  const bookOf = async (scope: Scope) => {
    const { tenantId, tx } = checkScope(scope)
    return roles.with(await storage.read(({ policies }) => policies.current(tenantId), tx))
  }
  const missing = (key: string) => coreErrors.not_found({ detail: `There is no role "${key}".` })

  /** The tenant's own role of this key. */
  const ownOf = ({ book }: PolicyState, key: string): Role => {
    const role = book.get(key)
    if (!role) throw missing(key)
    if (!role.custom) throw rbacErrors.role_predefined({ detail: `"${key}" is defined in the host's code.` })
    return role
  }

  /** Publishes a version in which one role differs, and tells of that role. */
  async function write(
    scope: Scope,
    stores: RbacStores,
    tx: Tx,
    before: PolicyState,
    key: string,
    edit: (roles: ReadDocument['roles']) => ReadDocument['roles'],
  ): Promise<Role | null> {
    const { roles, tests } = documentOf(before)
    const document = { roles: edit(roles), tests }
    const next = { kind: 'role' as const, basedOn: before.version, note: null, document }
    const { after } = await publish(scope, stores, before, next).catch((error: unknown) => {
      throw aboutRole(key, error)
    })
    const [was, is] = [before, after].map((state) => state.roles.find((role) => role.key === key))
    const shown = is ?? was
    if (!shown) return null
    const data = { key, name: shown.name, policyVersion: after.version }
    const seen = { ...(was && { before: RoleView.parse(was) }), ...(is && { after: RoleView.parse(is) }) }
    const type = was && is ? 'role.updated' : is ? 'role.created' : 'role.deleted'
    await emit(scope, { type, resource: { type: 'role', id: shown.id }, data, ...seen }, tx)
    return is ?? null
  }

  return {
    async list(scope) {
      return { data: (await bookOf(scope)).all(), next: null }
    },

    async get(scope, key) {
      const role = (await bookOf(scope)).get(key)
      if (!role) throw missing(key)
      return role
    },

    async create(scope, input) {
      const { tenantId } = checkScope(scope)
      const { key, ...definition } = parse(CreateRole, input)
      return change(scope, async (stores, tx) => {
        const before = await states.current(stores, tenantId, { lock: true })
        if (before.book.get(key)) throw rbacErrors.role_exists({ detail: `There is a role "${key}" already.` })
        const made = await write(scope, stores, tx, before, key, (all) => ({ ...all, [key]: definition }))
        if (!made) throw missing(key)
        return made
      })
    },

    async update(scope, key, patch) {
      const { tenantId } = checkScope(scope)
      const { description, ...given } = parse(UpdateRole, patch)
      return change(scope, async (stores, tx) => {
        const before = await states.current(stores, tenantId, { lock: true })
        const role = ownOf(before, key)
        const { description: was, ...own } = definitionOf(role)
        const is = description === undefined ? was : (description ?? undefined)
        const wanted = { ...own, ...defined(given), ...(is !== undefined && { description: is }) }
        if (saysTheSame(role, roleOf(wanted, role))) return role
        const changed = await write(scope, stores, tx, before, key, (all) => ({ ...all, [key]: wanted }))
        return changed ?? role
      })
    },

    async delete(scope, key) {
      const { tenantId } = checkScope(scope)
      await change(scope, async (stores, tx) => {
        const before = await states.current(stores, tenantId, { lock: true })
        ownOf(before, key)
        const inheritedBy = before.roles.filter(({ inherits }) => inherits.includes(key)).map((role) => role.key)
        const tests = before.tests.filter(({ roles }) => roles.includes(key)).map(({ name }) => name)
        if (inheritedBy.length + tests.length > 0) {
          const detail = [
            ...(inheritedBy.length > 0 ? [`${inheritedBy.join(', ')} inherit from "${key}"`] : []),
            ...(tests.length > 0 ? [`${tests.length} tests of the policy name it`] : []),
          ].join('; ')
          throw rbacErrors.role_in_use({ detail: `${detail}.`, extensions: { inheritedBy, tests } })
        }
        await write(scope, stores, tx, before, key, ({ [key]: _, ...rest }) => rest)
      })
    },
  }
}

/** What is wrong with one role of a document, as its own input has it: `/permissions/0`. */
function aboutRole(key: string, error: unknown): unknown {
  if (!isProblem(error) || error.code !== 'invalid_input' || !error.errors) return error
  const root = `/roles/${key}`
  const errors = error.errors.map(({ pointer, detail }) => ({
    pointer: pointer.startsWith(`${root}/`) || pointer === root ? pointer.slice(root.length) : pointer,
    detail,
  }))
  return coreErrors.invalid_input({ errors })
}

function defined<T extends object>(given: T): Partial<{ [Name in keyof T]: Exclude<T[Name], undefined> }> {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Partial<{ [Name in keyof T]: Exclude<T[Name], undefined> }>
}
