/** What the scopes of a key make of its maker's rights. */
import { hasPermission, parsePermission } from '../permissions/permission.js'
import type { HeldRule, Rule } from '../permissions/rule.js'

/**
 * Which scopes go beyond what somebody holds. A scope is covered by a rule that allows all of it, if only on some rows or
 * fields: whatever the key does is checked against that very rule, and so no wider. A scope that is denied on every row
 * is not held.
 */
export function lackingScopes(held: readonly HeldRule[], scopes: readonly string[]): string[] {
  return scopes.filter(
    (scope) =>
      !held.some((rule) => rule.effect === 'allow' && includes(rule, scope)) ||
      held.some((rule) => rule.effect === 'deny' && !rule.when && !rule.fields && includes(rule, scope)),
  )
}

/** Whether a scope reaches beyond these. A wildcard is within a wildcard only. */
export function isWithinScopes(scope: string, scopes: readonly string[]): boolean {
  const parts = parsePermission(scope)
  return parts !== null && hasPermission(scopes, parts.resource, parts.action)
}

function includes({ permission }: Rule, scope: string): boolean {
  return isWithinScopes(scope, [permission])
}

/** What two permissions have in common: `keys:*` and `*:read` have `keys:read`. Null for nothing. */
export function commonPermission(one: string, other: string): string | null {
  const [a, b] = [parsePermission(one), parsePermission(other)]
  if (!a || !b) return null
  const resource = commonPart(a.resource, b.resource)
  const action = commonPart(a.action, b.action)
  if (resource === null || action === null) return null
  return resource === '*' && action === '*' ? '*' : `${resource}:${action}`
}

function commonPart(one: string, other: string): string | null {
  if (one === '*') return other
  return other === '*' || other === one ? one : null
}

/** Rules cut down to scopes: what is allowed keeps its conditions and fields, and every deny stays as it is. */
export function withinScopes<R extends Rule>(rules: readonly R[], scopes: readonly string[]): R[] {
  return rules.flatMap((rule) => {
    if (rule.effect === 'deny') return [rule]
    const common = scopes.map((scope) => commonPermission(rule.permission, scope)).filter((found) => found !== null)
    return [...new Set(common)].map((permission) => ({ ...rule, permission }))
  })
}

/** The rule as it reads for one user: "their own" becomes that user's by name, so that it can be compared with others'. */
export function asOf<R extends Rule>(rule: R, userId: string): R {
  if (!rule.when) return rule
  const named = (_: string, value: unknown) => (isUserVariable(value) ? userId : value)
  return { ...rule, when: JSON.parse(JSON.stringify(rule.when), named) }
}

function isUserVariable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'var' in value && value.var === 'userId'
}
