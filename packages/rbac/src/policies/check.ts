/** What can be wrong with a document, before anybody has its roles. */
import { coreErrors, type FieldError } from '@org/core'
import type { Catalog } from '../permissions/catalog.js'
import { parsePermission } from '../permissions/permission.js'
import type { RoleBook } from '../roles/book.js'
import { faultsOf } from '../roles/check.js'
import type { Role } from '../roles/schema.js'
import { saysTheSame } from './document.js'
import type { PolicyTest } from './schema.js'

/** The most rules that a role has, with those that it inherits: every check of its holders walks through them. */
const maxRules = 1000
/** The most rules that the tests of a document stand on together: publishing runs them all while the tenant is locked. */
const maxTestedRules = 20_000

export interface Checked {
  catalog: Catalog
  /** The host's roles. */
  predefined: RoleBook
  /** The tenant's roles as they are. */
  before: readonly Role[]
  roles: readonly Role[]
  tests: readonly PolicyTest[]
  /** Where the document stands in the input. */
  root?: string
}

/** @throws ProblemError `invalid_input` with a pointer into the document for each fault. */
export function checkDocument(checked: Checked): void {
  const { root = '' } = checked
  const faults = [...faultsOfRoles(checked), ...faultsOfTests(checked)]
  const errors = faults.map(({ pointer, detail }) => ({ pointer: root + pointer, detail }))
  if (errors.length > 0) throw coreErrors.invalid_input({ errors })
}

function* faultsOfRoles({ catalog, predefined, before, roles }: Checked): Generator<FieldError> {
  const earlier = new Map(before.map((role) => [role.key, role]))
  const own = new Map(roles.map((role) => [role.key, role]))
  const known = (key: string) => predefined.get(key) ?? own.get(key) ?? null
  for (const role of roles) {
    const pointer = `/roles/${role.key}`
    const was = earlier.get(role.key)
    // The host may take a key later, or shrink its catalog: that must not stop a tenant from changing another role.
    if (!was && predefined.get(role.key)) yield { pointer, detail: `"${role.key}" is a role of the host app` }
    const same = was !== undefined && saysTheSame(was, role)
    for (const fault of faultsOf(catalog, role, known)) {
      if (!same || fault.pointer.startsWith('/inherits')) yield { ...fault, pointer: pointer + fault.pointer }
    }
    if (countOf(role, known) > maxRules) {
      yield { pointer, detail: `has more than ${maxRules} rules with those that it inherits` }
    }
  }
}

function* faultsOfTests({ catalog, predefined, roles, tests }: Checked): Generator<FieldError> {
  const own = new Map(roles.map((role) => [role.key, role]))
  const known = (key: string) => predefined.get(key) ?? own.get(key) ?? null
  const counts = new Map<string, number>()
  let tested = 0
  for (const [i, { roles: keys, permission }] of tests.entries()) {
    for (const [j, key] of keys.entries()) {
      const role = known(key)
      const count = role ? (counts.get(key) ?? countOf(role, known)) : 0
      counts.set(key, count)
      tested += count
      if (role) continue
      yield { pointer: `/tests/${i}/roles/${j}`, detail: `there is no role "${key}"` }
    }
    const { resource = '', action = '' } = parsePermission(permission) ?? {}
    if (resource !== '*' && action !== '*' && catalog.has(resource, action)) continue
    const detail = catalog.whatIsWrong(permission) ?? `"${permission}" is not one permission; write "resource:action"`
    yield { pointer: `/tests/${i}/permission`, detail }
  }
  if (tested > maxTestedRules) {
    yield { pointer: '/tests', detail: `name roles of more than ${maxTestedRules} rules, counted once for each test` }
  }
}

type Counted = Pick<Role, 'inherits'> & Partial<Pick<Role, 'permissions' | 'rules'>>

/** Counted without writing them out, which is what the limit is there for. */
function countOf(role: Counted, known: (key: string) => Counted | null): number {
  const seen = new Set<Counted>()
  const walk = (one: Counted): number => {
    if (seen.has(one)) return 0
    seen.add(one)
    const inherited = one.inherits
      .map((key) => known(key))
      .reduce((sum, parent) => sum + (parent ? walk(parent) : 0), 0)
    return (one.permissions?.length ?? 0) + (one.rules?.length ?? 0) + inherited
  }
  return walk(role)
}
