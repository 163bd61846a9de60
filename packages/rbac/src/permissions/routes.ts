import { coreErrors, type Route, route } from '@org/core'
import { CheckPermission, CheckResultView, MeView } from './schema.js'
import type { OwnPermissions } from './service.js'

export function permissionRoutes(permissions: Pick<OwnPermissions, 'me' | 'check'>): Route[] {
  return [
    route({
      id: 'rbac.me',
      method: 'GET',
      path: '/me',
      summary: "The caller's roles and permissions, and CASL rules for a front end",
      can: 'authenticated',
      response: MeView,
      handler: (_input, ctx) => permissions.me(ctx),
    }),
    route({
      id: 'rbac.checkPermission',
      method: 'POST',
      path: '/check',
      summary: 'Ask whether the caller, or another member, may do something',
      description: 'Asking about another member needs the permission team:read.',
      can: 'authenticated',
      body: CheckPermission,
      response: CheckResultView,
      errors: [coreErrors.forbidden],
      handler: ({ body }, ctx) => permissions.check(ctx, body),
    }),
  ]
}
