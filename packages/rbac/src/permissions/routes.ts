import { coreErrors, pageOf, type Route, route } from '@org/core'
import {
  CheckPermission,
  CheckPermissions,
  CheckResultsView,
  CheckResultView,
  ExplanationView,
  MeView,
  WhoCanParams,
  WhoCanView,
} from './schema.js'
import type { OwnPermissions } from './service.js'

export function permissionRoutes(
  permissions: Pick<OwnPermissions, 'me' | 'check' | 'checkAll' | 'explainTo' | 'whoCanOf'>,
): Route[] {
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
    route({
      id: 'rbac.checkPermissions',
      method: 'POST',
      path: '/checks',
      summary: 'Ask up to 100 such questions at once',
      description: 'Asking about another member needs the permission team:read.',
      can: 'authenticated',
      body: CheckPermissions,
      response: CheckResultsView,
      errors: [coreErrors.forbidden],
      handler: ({ body }, ctx) => permissions.checkAll(ctx, body),
    }),
    route({
      id: 'rbac.explainPermission',
      method: 'POST',
      path: '/explain',
      summary: 'Ask why the caller, or another member, may or may not do something',
      description: 'Asking about another member needs the permission team:read.',
      can: 'authenticated',
      body: CheckPermission,
      response: ExplanationView,
      errors: [coreErrors.forbidden],
      handler: ({ body }, ctx) => permissions.explainTo(ctx, body),
    }),
    route({
      id: 'rbac.whoCan',
      method: 'GET',
      path: '/who-can',
      summary: 'List who may do something, by the ids of users',
      description: 'On every row and field; of one row, ask `POST /check` about each.',
      can: ['read', 'team'],
      query: WhoCanParams,
      response: pageOf(WhoCanView),
      handler: ({ query }, ctx) => permissions.whoCanOf(ctx, query),
    }),
  ]
}
