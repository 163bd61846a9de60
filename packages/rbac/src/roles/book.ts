/** All roles that one tenant has: the host's own, and those of the tenant's policy. */
import { unknownValue } from '@org/core'
import type { Rule } from '../permissions/rule.js'
import type { Role } from './schema.js'

/** A rule of a role, and the way to it by inheritance, from the role itself to the one that it stands in. */
export interface ResolvedRule extends Rule {
  path: readonly string[]
}

/** The tenant's own roles as they were published. */
export interface PublishedRoles {
  version: number
  roles: readonly Role[]
}

/** What a role says itself. */
export function ownRules({ permissions, rules }: Role): Rule[] {
  return [...permissions.map((permission): Rule => ({ effect: 'allow', permission })), ...rules]
}

export class RoleBook {
  /** The version of the tenant's policy; 0 if it has none. */
  readonly policyVersion: number
  readonly #predefined: readonly Role[]
  readonly #byKey = new Map<string, Role>()
  readonly #byId = new Map<string, Role>()
  readonly #resolved = new Map<string, readonly ResolvedRule[]>()
  readonly #books = new WeakMap<PublishedRoles, RoleBook>()

  constructor(predefined: readonly Role[], published: PublishedRoles | null = null) {
    this.policyVersion = published?.version ?? 0
    this.#predefined = predefined
    for (const role of [...predefined, ...(published?.roles ?? [])]) {
      // A key that the host took later is the host's; the tenant's role stays with those who have it.
      if (!this.#byKey.has(role.key)) this.#byKey.set(role.key, role)
      this.#byId.set(role.id, role)
    }
  }

  /** The same roles of the host's, with those of a tenant. One book for one policy, as long as somebody holds it. */
  with(published: PublishedRoles | null): RoleBook {
    if (!published) return this
    let book = this.#books.get(published)
    if (!book) {
      book = new RoleBook(this.#predefined, published)
      this.#books.set(published, book)
    }
    return book
  }

  /** Also roles whose key the host took later. */
  every(): Role[] {
    return [...this.#byId.values()]
  }

  /** As they can be given, each key once. */
  all(): Role[] {
    return [...this.#byKey.values()]
  }

  get(key: string): Role | null {
    return this.#byKey.get(key) ?? null
  }

  byId(id: string): Role | null {
    return this.#byId.get(id) ?? null
  }

  /** @throws ProblemError `invalid_input` at the pointer, with the known roles. */
  known(key: string, pointer = '/role'): Role {
    const role = this.get(key)
    if (!role) throw unknownValue(pointer, key, this.#byKey.keys())
    return role
  }

  /** All rules of a role: its own, and those that it inherits. A rule that two ways lead to is there once. */
  resolve(role: Role): readonly ResolvedRule[] {
    let found = this.#resolved.get(role.id)
    if (!found) {
      found = this.lineOf(role).flatMap(([one, path]) => ownRules(one).map((rule) => ({ ...rule, path })))
      this.#resolved.set(role.id, found)
    }
    return found
  }

  /** A role and those that it inherits from, each once, with the way there. */
  lineOf(role: Role): (readonly [role: Role, path: readonly string[]])[] {
    return [...this.#walk(role, [], new Set())]
  }

  *#walk(role: Role, above: readonly string[], seen: Set<string>): Generator<readonly [Role, readonly string[]]> {
    if (seen.has(role.id)) return
    seen.add(role.id)
    const path = [...above, role.key]
    yield [role, path]
    for (const key of role.inherits) {
      const parent = this.get(key)
      if (parent) yield* this.#walk(parent, path, seen)
    }
  }

  /**
   * The roles whose holders a tenant may not run out of: `owner`, and any role that grants everything and takes nothing
   * away. Whoever is denied something cannot hand it on either.
   */
  owners(): Role[] {
    const grantsAll = (rule: Rule) => rule.effect === 'allow' && rule.permission === '*' && !rule.when && !rule.fields
    return [...this.#byId.values()].filter((role) => {
      const rules = this.resolve(role)
      return role.id === 'owner' || (rules.some(grantsAll) && rules.every(({ effect }) => effect === 'allow'))
    })
  }
}
