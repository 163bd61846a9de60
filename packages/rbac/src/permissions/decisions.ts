/** Yes and no about resources as a whole, worked out once. */
import type { MongoAbility } from '@casl/ability'
import { allows } from '@org/core'

/** What one ability says of each resource and action of the catalog, kept from the first time that it was asked. */
export class Decisions {
  readonly #made = new Map<string, Map<string, boolean>>()

  constructor(readonly ability: MongoAbility) {}

  /** Undefined if it was never asked; whatever was asked is known to the catalog. */
  made(resource: string, action: string): boolean | undefined {
    return this.#made.get(resource)?.get(action)
  }

  /** The catalog must know them. */
  allows(resource: string, action: string): boolean {
    const made = this.made(resource, action)
    if (made !== undefined) return made
    const decision = allows(this.ability, action, resource)
    let actions = this.#made.get(resource)
    if (!actions) {
      actions = new Map()
      this.#made.set(resource, actions)
    }
    actions.set(action, decision)
    return decision
  }
}
