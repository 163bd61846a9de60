/** The roles that the host defined, checked once when the module is made. */
import { coreErrors, unknownValue } from '@org/core'
import { z } from 'zod'
import type { Catalog } from '../permissions/catalog.js'
import { checkName } from '../permissions/resources.js'
import { predefinedRoles } from './predefined.js'
import { type Role, RoleDefinition } from './schema.js'

export class RoleCatalog {
  readonly #roles: ReadonlyMap<string, Role>

  /**
   * Without `definitions`: the predefined roles, with those of their permissions that the catalog knows.
   *
   * @throws ProblemError `setup_error` that names the role, what it names wrongly, and the known values.
   */
  constructor(catalog: Catalog, definitions?: Readonly<Record<string, unknown>>) {
    const entries = Object.entries(definitions ?? predefinedWithin(catalog))
    this.#roles = new Map(entries.map(([key, definition]) => [key, roleOf(catalog, key, definition)]))
  }

  all(): Role[] {
    return [...this.#roles.values()]
  }

  get(key: string): Role | null {
    return this.#roles.get(key) ?? null
  }

  /** @throws ProblemError `invalid_input` at `/role`, with the known roles. */
  known(key: string): Role {
    const role = this.#roles.get(key)
    if (!role) throw unknownValue('/role', key, this.#roles.keys())
    return role
  }

  /** What these roles grant together. A role that the host no longer defines grants nothing. */
  permissions(keys: readonly string[]): string[] {
    return keys.flatMap((key) => this.#roles.get(key)?.permissions ?? [])
  }

  /** The roles whose holders a tenant may not run out of: `owner`, and any role that grants everything. */
  owners(): Role[] {
    return this.all().filter((role) => role.key === 'owner' || role.permissions.includes('*'))
  }
}

function predefinedWithin(catalog: Catalog): Record<string, unknown> {
  const known = (permissions: readonly string[]) => permissions.filter((text) => catalog.whatIsWrong(text) === null)
  const entries = Object.entries(predefinedRoles).map(([key, role]) => [
    key,
    { ...role, permissions: known(role.permissions) },
  ])
  return Object.fromEntries(entries)
}

function roleOf(catalog: Catalog, key: string, definition: unknown): Role {
  checkName('role', key)
  const parsed = RoleDefinition.safeParse(definition)
  const complaint = parsed.success
    ? parsed.data.permissions.map((text) => catalog.whatIsWrong(text)).find((found) => found !== null)
    : z.prettifyError(parsed.error)
  if (!parsed.success || complaint) throw coreErrors.setup_error({ detail: `The role "${key}": ${complaint}.` })
  const { name = key, description = null, permissions } = parsed.data
  // `*:*` says the same as `*`, which is what everything else looks for.
  const plain = permissions.map((permission) => (permission === '*:*' ? '*' : permission))
  return { key, name, description, permissions: [...new Set(plain)] }
}
