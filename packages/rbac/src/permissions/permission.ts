/** Permissions as text: `keys:read`, `keys:*`, `*:read` and `*`. Pure, and the same in the browser. */
import type { ActionOf, ResourceOf, Resources } from './resources.js'

/** One action on one resource: `keys:read`. */
export type ConcretePermission<R extends Resources> = {
  [Resource in ResourceOf<R>]: `${Resource}:${ActionOf<R, Resource>}`
}[ResourceOf<R>]

/** What a role may hold: a concrete permission, or `keys:*` (all of a resource), `*:read` (an action on all), `*`. */
export type Permission<R extends Resources> =
  | ConcretePermission<R>
  | `${ResourceOf<R>}:*`
  | `*:${ActionOf<R, ResourceOf<R>>}`
  | '*'

export interface PermissionParts {
  /** `*` for every one. */
  resource: string
  /** `*` for every one. */
  action: string
}

/** `keys:read` → its parts; `*` stands for `*:*`. Null for anything else. */
export function parsePermission(permission: string): PermissionParts | null {
  if (permission === '*') return { resource: '*', action: '*' }
  const [resource, action, more] = permission.split(':')
  return resource && action && more === undefined ? { resource, action } : null
}

/** Whether holding `permission` grants this. Text that is not a permission grants nothing. */
export function matchesPermission(permission: string, resource: string, action: string): boolean {
  const held = parsePermission(permission)
  if (!held || !resource || !action) return false
  return (held.resource === '*' || held.resource === resource) && (held.action === '*' || held.action === action)
}

/**
 * Whether a list of permissions grants an action on a resource. Understands `*`, `keys:*` and `*:read`, and fits what
 * `rbac.getUserPermissions` and `GET /me` answer. Asking for `*` asks for all of it: `keys:*` grants `('keys', '*')`,
 * and four single permissions do not.
 */
export function hasPermission(permissions: readonly string[], resource: string, action: string): boolean {
  return permissions.some((permission) => matchesPermission(permission, resource, action))
}
