import { coreErrors, pageOf, type Route, route } from '@org/core'
import { rbacErrors } from '../errors.js'
import { AssignmentQuery, AssignmentView, AssignRoleBody, UnassignParams } from './schema.js'
import type { Assignments } from './service.js'

export function assignmentRoutes(assignments: Assignments): Route[] {
  return [
    route({
      id: 'rbac.listAssignments',
      method: 'GET',
      path: '/assignments',
      summary: 'List who has which role',
      can: ['read', 'team'],
      query: AssignmentQuery,
      response: pageOf(AssignmentView),
      handler: ({ query }, ctx) => assignments.list(ctx, query),
    }),
    route({
      id: 'rbac.assignRole',
      method: 'POST',
      path: '/assignments',
      summary: 'Give a member a role',
      description:
        'Answers the same assignment if the member has the role already, with its end changed to the one given.',
      can: ['create', 'team'],
      body: AssignRoleBody,
      status: 201,
      idempotent: true,
      response: AssignmentView,
      errors: [rbacErrors.exceeds_own_rights, rbacErrors.last_owner],
      handler: ({ body }, ctx) => assignments.assign(ctx, body),
    }),
    route({
      id: 'rbac.unassignRole',
      method: 'DELETE',
      path: '/assignments',
      summary: 'Take a role from a member',
      can: ['delete', 'team'],
      query: UnassignParams,
      errors: [coreErrors.not_found, rbacErrors.exceeds_own_rights, rbacErrors.last_owner],
      handler: ({ query }, ctx) => assignments.unassign(ctx, query),
    }),
  ]
}
