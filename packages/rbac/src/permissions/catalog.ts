/** The catalog of resources as it is looked up. */
import { type Ability, allows, unknownValue } from '@org/core'
import { matchesPermission, parsePermission } from './permission.js'
import { defineResources, type Resources } from './resources.js'

/** Knows every resource, its actions and so every permission there is. */
export class Catalog {
  readonly #actions: ReadonlyMap<string, ReadonlySet<string>>
  readonly #concrete: readonly { permission: string; resource: string; action: string }[]
  /** The actions of all resources. */
  readonly actions: ReadonlySet<string>

  constructor(resources: Resources) {
    const entries = Object.entries(defineResources(resources))
    this.#actions = new Map(entries.map(([resource, actions]) => [resource, new Set(actions)]))
    this.actions = new Set(entries.flatMap(([, actions]) => actions))
    this.#concrete = entries
      .flatMap(([resource, actions]) =>
        [...new Set(actions)].map((action) => ({ permission: `${resource}:${action}`, resource, action })),
      )
      .sort((a, b) => (a.permission < b.permission ? -1 : 1))
  }

  has(resource: string, action: string): boolean {
    return this.#actions.get(resource)?.has(action) === true
  }

  hasResource(resource: string): boolean {
    return this.#actions.has(resource)
  }

  /** @throws ProblemError `invalid_input` at the pointer, with the known resources. */
  checkResource(resource: string, pointer: string): void {
    if (!this.#actions.has(resource)) throw unknownValue(pointer, String(resource), this.#actions.keys())
  }

  /** @throws ProblemError `invalid_input` at `/resource` or `/action`, with the known values. */
  check(resource: string, action: string): void {
    const actions = this.#actions.get(resource)
    if (!actions) throw unknownValue('/resource', String(resource), this.#actions.keys())
    if (!actions.has(action)) throw unknownValue('/action', String(action), actions)
  }

  /** What is wrong with a permission in a role, with the known values; null if nothing is. */
  whatIsWrong(permission: string): string | null {
    const parts = parsePermission(permission)
    if (!parts) return `"${permission}" is not a permission; write "resource:action", "resource:*", "*:action" or "*"`
    const { resource, action } = parts
    const actions = resource === '*' ? this.actions : this.#actions.get(resource)
    const known = (names: Iterable<string>) => [...names].join(', ')
    if (!actions) {
      return `unknown resource "${resource}" in "${permission}"; known resources: ${known(this.#actions.keys())}`
    }
    if (action === '*' || actions.has(action)) return null
    return `unknown action "${action}" in "${permission}"; known actions: ${known(actions)}`
  }

  /** All that an ability allows on every row and field, as concrete permissions, sorted. */
  allowedBy(ability: Ability): string[] {
    return this.#concrete
      .filter(({ resource, action }) => allows(ability, action, resource))
      .map(({ permission }) => permission)
  }

  /** All that these permissions grant, as concrete permissions, sorted. */
  expand(permissions: readonly string[]): string[] {
    return this.#concrete
      .filter(({ resource, action }) => permissions.some((held) => matchesPermission(held, resource, action)))
      .map(({ permission }) => permission)
  }
}
