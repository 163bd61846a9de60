import { pageOf, type Route, route } from '@org/core'
import { RoleView } from './schema.js'
import type { Roles } from './service.js'

export function roleRoutes(roles: Roles): Route[] {
  return [
    route({
      id: 'rbac.listRoles',
      method: 'GET',
      path: '/roles',
      summary: 'List the roles that members can be given',
      can: ['read', 'team'],
      response: pageOf(RoleView),
      handler: (_input, ctx) => roles.list(ctx),
    }),
  ]
}
