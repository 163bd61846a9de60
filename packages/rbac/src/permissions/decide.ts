/** Yes or no, also about one row. */
import { type Ability, allows } from '@org/core'
import { asSubject } from './ability.js'

/** Whether an ability allows an action on a resource as a whole, or on one row of it. */
export function allowsRow(ability: Ability, action: string, resource: string, row?: object | null): boolean {
  if (row === null) return false
  if (row !== undefined) return ability.can(action, asSubject(resource, row)) === true
  return allows(ability, action, resource)
}
