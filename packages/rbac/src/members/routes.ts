import { coreErrors, pageOf, type Route, route } from '@org/core'
import { z } from 'zod'
import { rbacErrors } from '../errors.js'
import {
  AddMember,
  InvitedMemberView,
  MemberParams,
  MemberQuery,
  MemberView,
  RemoveMember,
  SetRoles,
  TransferOwnership,
} from './schema.js'
import type { Members } from './service.js'

/** Of changes that take no owner away. */
const changes = [coreErrors.not_found, rbacErrors.exceeds_own_rights]
const losses = [...changes, rbacErrors.last_owner]

export function memberRoutes(members: Members): Route[] {
  return [
    route({
      id: 'rbac.listMembers',
      method: 'GET',
      path: '/members',
      summary: 'List the team, with roles',
      description: '`status=invited` lists those who have a pending invite to their address, and are no members yet.',
      can: ['read', 'team'],
      query: MemberQuery,
      response: pageOf(z.union([MemberView, InvitedMemberView])),
      handler: ({ query }, ctx) => members.list(ctx, query),
    }),
    route({
      id: 'rbac.addMember',
      method: 'POST',
      path: '/members',
      summary: 'Make a user of the host a member',
      description: 'For users that the host knows already; an invite asks them first.',
      can: ['create', 'team'],
      body: AddMember,
      status: 201,
      idempotent: true,
      response: MemberView,
      errors: [rbacErrors.already_member, rbacErrors.exceeds_own_rights],
      handler: ({ body }, ctx) => members.add(ctx, body),
    }),
    route({
      id: 'rbac.getMember',
      method: 'GET',
      path: '/members/:userId',
      summary: 'Get one member',
      can: ['read', 'team'],
      params: MemberParams,
      response: MemberView,
      errors: [coreErrors.not_found],
      handler: ({ params }, ctx) => members.get(ctx, params.userId),
    }),
    route({
      id: 'rbac.setMemberRoles',
      method: 'PUT',
      path: '/members/:userId/roles',
      summary: 'Give a member exactly these roles',
      can: ['update', 'team'],
      params: MemberParams,
      body: SetRoles,
      response: MemberView,
      errors: losses,
      handler: ({ params, body }, ctx) => members.setRoles(ctx, params.userId, body),
    }),
    ...(['suspend', 'reactivate'] as const).map((verb) =>
      route({
        id: `rbac.${verb}Member`,
        method: 'POST',
        path: `/members/:userId/${verb}`,
        summary: verb === 'suspend' ? 'Take all rights from a member for the time being' : 'Give them back',
        can: ['update', 'team'],
        params: MemberParams,
        body: z.strictObject({}).optional(),
        response: MemberView,
        errors: verb === 'suspend' ? losses : changes,
        handler: ({ params }, ctx) => members[verb](ctx, params.userId),
      }),
    ),
    route({
      id: 'rbac.removeMember',
      method: 'DELETE',
      path: '/members/:userId',
      summary: 'Take a user off the team',
      description:
        'The keys that they made are revoked, unless `keysTo` names the member who answers for them from now on.',
      can: ['delete', 'team'],
      params: MemberParams,
      query: RemoveMember,
      errors: [...losses, rbacErrors.member_suspended],
      handler: ({ params, query }, ctx) => members.remove(ctx, params.userId, query),
    }),
    route({
      id: 'rbac.leaveTeam',
      method: 'POST',
      path: '/leave',
      summary: 'Leave the team',
      can: 'authenticated',
      body: z.strictObject({}).optional(),
      errors: [coreErrors.not_found, rbacErrors.last_owner, rbacErrors.member_suspended],
      handler: (_input, ctx) => members.leave(ctx),
    }),
    route({
      id: 'rbac.transferOwnership',
      method: 'POST',
      path: '/ownership/transfer',
      summary: 'Make another member an owner instead of oneself',
      can: ['update', 'team'],
      body: TransferOwnership,
      errors: [...changes, rbacErrors.not_owner, rbacErrors.member_suspended],
      handler: ({ body }, ctx) => members.transferOwnership(ctx, body),
    }),
  ]
}
