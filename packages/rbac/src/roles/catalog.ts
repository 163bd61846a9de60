/** The roles that the host defined, checked once when the module is made. */
import { coreErrors } from '@org/core'
import { z } from 'zod'
import type { Catalog } from '../permissions/catalog.js'
import { checkName } from '../permissions/resources.js'
import { RoleBook } from './book.js'
import { faultsOf } from './check.js'
import { predefinedRoles } from './predefined.js'
import { type Role, RoleDefinition } from './schema.js'

/**
 * Without `definitions`: the predefined roles, with those of their permissions that the catalog knows.
 *
 * @throws ProblemError `setup_error` that names the role, what it names wrongly, and the known values.
 */
export function predefinedBook(catalog: Catalog, definitions?: Readonly<Record<string, unknown>>): RoleBook {
  const entries = Object.entries(definitions ?? predefinedWithin(catalog))
  const roles = new Map(entries.map(([key, definition]) => [key, read(key, definition)]))
  for (const role of roles.values()) {
    const [fault] = faultsOf(catalog, role, (key) => roles.get(key) ?? null)
    if (fault) throw wrong(role.key, `${fault.detail}`)
  }
  return new RoleBook([...roles.values()])
}

/** What a definition makes of a role. */
export function roleOf(
  definition: z.infer<typeof RoleDefinition>,
  identity: Pick<Role, 'id' | 'key' | 'custom'>,
): Role {
  const { name = identity.key, description = null, inherits = [], permissions = [], rules = [] } = definition
  return {
    ...identity,
    name,
    description,
    inherits: [...new Set(inherits)],
    permissions: [...new Set(permissions.map(plain))],
    rules: rules.map((rule) => ({ ...rule, permission: plain(rule.permission) })),
  }
}

/** `*:*` says the same as `*`, which is what everything else looks for. */
function plain(permission: string): string {
  return permission === '*:*' ? '*' : permission
}

function predefinedWithin(catalog: Catalog): Record<string, unknown> {
  const known = (permissions: readonly string[]) => permissions.filter((text) => catalog.whatIsWrong(text) === null)
  const entries = Object.entries(predefinedRoles).map(([key, role]) => [
    key,
    { ...role, permissions: known(role.permissions) },
  ])
  return Object.fromEntries(entries)
}

function read(key: string, definition: unknown): Role {
  checkName('role', key)
  const parsed = RoleDefinition.safeParse(definition)
  if (!parsed.success) throw wrong(key, z.prettifyError(parsed.error))
  return roleOf(parsed.data, { id: key, key, custom: false })
}

function wrong(key: string, complaint: string) {
  return coreErrors.setup_error({ detail: `The role "${key}": ${complaint}.` })
}
