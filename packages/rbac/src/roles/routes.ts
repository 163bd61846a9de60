import { coreErrors, pageOf, type Route, route } from '@org/core'
import { rbacErrors } from '../errors.js'
import { CreateRole, RoleParams, RoleView, UpdateRole } from './schema.js'
import type { Roles } from './service.js'

const refusals = [rbacErrors.exceeds_own_rights, rbacErrors.policy_tests_failed]

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
    route({
      id: 'rbac.getRole',
      method: 'GET',
      path: '/roles/:key',
      summary: 'Get one role',
      can: ['read', 'team'],
      params: RoleParams,
      response: RoleView,
      errors: [coreErrors.not_found],
      handler: ({ params }, ctx) => roles.get(ctx, params.key),
    }),
    route({
      id: 'rbac.createRole',
      method: 'POST',
      path: '/roles',
      summary: 'Make a role of the tenant’s own',
      can: ['create', 'roles'],
      body: CreateRole,
      status: 201,
      idempotent: true,
      response: RoleView,
      errors: [...refusals, rbacErrors.last_owner, rbacErrors.role_exists],
      handler: ({ body }, ctx) => roles.create(ctx, body),
    }),
    route({
      id: 'rbac.updateRole',
      method: 'PATCH',
      path: '/roles/:key',
      summary: 'Change one of the tenant’s own roles for all who have it',
      can: ['update', 'roles'],
      params: RoleParams,
      body: UpdateRole,
      response: RoleView,
      errors: [...refusals, rbacErrors.last_owner, coreErrors.not_found, rbacErrors.role_predefined],
      handler: ({ params, body }, ctx) => roles.update(ctx, params.key, body),
    }),
    route({
      id: 'rbac.deleteRole',
      method: 'DELETE',
      path: '/roles/:key',
      summary: 'Delete one of the tenant’s own roles',
      can: ['delete', 'roles'],
      params: RoleParams,
      errors: [...refusals, coreErrors.not_found, rbacErrors.role_predefined, rbacErrors.role_in_use],
      handler: ({ params }, ctx) => roles.delete(ctx, params.key),
    }),
  ]
}
