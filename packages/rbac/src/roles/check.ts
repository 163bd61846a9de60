/** What can be wrong with a set of roles, before they are anybody's. */
import type { FieldError } from '@org/core'
import type { Catalog } from '../permissions/catalog.js'
import type { Role } from './schema.js'

/** The roles that others stand on: found by key. */
type Known = (key: string) => Pick<Role, 'inherits'> | null

/** Each fault, at a pointer below the role's own. Empty if there is none. */
export function faultsOf(catalog: Catalog, role: Role, known: Known): FieldError[] {
  const faults: FieldError[] = []
  const add = (pointer: string, detail: string | null) => detail !== null && faults.push({ pointer, detail })
  role.permissions.forEach((permission, i) => {
    add(`/permissions/${i}`, catalog.whatIsWrong(permission))
  })
  role.rules.forEach(({ effect, permission, when, fields }, i) => {
    add(`/rules/${i}/permission`, catalog.whatIsWrong(permission))
    const plain = effect === 'allow' && !when && !fields
    if (plain) add(`/rules/${i}`, `allows "${permission}" on every row; write it under \`permissions\``)
  })
  role.inherits.forEach((key, i) => {
    if (!known(key)) add(`/inherits/${i}`, `there is no role "${key}" to inherit from`)
  })
  const loop = loopFrom(role.key, known)
  if (loop) add('/inherits', `inherits from itself: ${loop.join(' → ')}`)
  return faults
}

/** The way from a role back to itself, if there is one. */
function loopFrom(start: string, known: Known): string[] | null {
  const seen = new Set<string>()
  const walk = (key: string, path: string[]): string[] | null => {
    for (const parent of known(key)?.inherits ?? []) {
      if (parent === start) return [...path, parent]
      if (seen.has(parent)) continue
      seen.add(parent)
      const found = walk(parent, [...path, parent])
      if (found) return found
    }
    return null
  }
  return walk(start, [start])
}
