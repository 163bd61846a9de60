/** Runs the tests that travel with a policy. */
import type { Assignment } from '../assignments/schema.js'
import { createAbility } from '../permissions/ability.js'
import { authorityOf } from '../permissions/authority.js'
import type { Catalog } from '../permissions/catalog.js'
import { explain } from '../permissions/explain.js'
import { parsePermission } from '../permissions/permission.js'
import type { Explanation } from '../permissions/schema.js'
import { RoleBook } from '../roles/book.js'
import type { PolicyTest, PolicyTestReport } from './schema.js'

/** Whoever a question is about that names roles and no member. */
export const somebody = 'somebody'

export interface Asked {
  tenantId: string
  userId: string
  resource: string
  action: string
  about: { row?: Record<string, unknown> | undefined; fields?: readonly string[] | undefined }
}

/** Explains what somebody with these assignments could do. `wouldAllow` is looked for among the roles of `hints`. */
export function explainUnder(
  catalog: Catalog,
  book: RoleBook,
  { tenantId, userId, ...asked }: Asked,
  assignments: readonly Assignment[],
  { hints = book, suspended = false }: { hints?: RoleBook; suspended?: boolean } = {},
): Explanation {
  const actor = { type: 'user' as const, id: userId }
  const authority = authorityOf(book, { tenantId, actor, userId }, suspended ? [] : assignments)
  const access = { authority, ...createAbility(catalog, authority) }
  return explain(catalog, { access, ...asked, book: hints, assignments, suspended })
}

/** Assignments that nobody has, of these roles. @throws ProblemError `invalid_input` for an unknown role. */
export function assumed(book: RoleBook, tenantId: string, userId: string, keys: readonly string[]): Assignment[] {
  return keys.map((key, i) => {
    const { id: roleId } = book.known(key, `/roles/${i}`)
    return { id: `assumed-${i}`, tenantId, userId, role: key, roleId, on: null, expiresAt: null, createdAt: 0 }
  })
}

/** To find out which roles would have allowed something, each of them is tried; a few failures are worth that. */
const maxHinted = 10
const none = new RoleBook([])

export function runTests(
  catalog: Catalog,
  book: RoleBook,
  tenantId: string,
  tests: readonly PolicyTest[],
): PolicyTestReport {
  let failed = 0
  const results = tests.map(({ name, roles, permission, userId = somebody, expect: expected, row, fields }) => {
    const { resource = '', action = '' } = parsePermission(permission) ?? {}
    const asked = { tenantId, userId, resource, action, about: { row, fields } }
    const held = assumed(book, tenantId, userId, [...new Set(roles)])
    const brief = explainUnder(catalog, book, asked, held, { hints: none })
    const got: PolicyTest['expect'] = brief.allowed ? 'allow' : 'deny'
    const ok = got === expected
    if (!ok) failed++
    const explanation = ok || failed > maxHinted ? brief : explainUnder(catalog, book, asked, held)
    return { name, ok, expected, got, explanation }
  })
  return { passed: results.length - failed, failed, results }
}
