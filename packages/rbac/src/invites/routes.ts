import { coreErrors, IdParams, pageOf, type Route, route } from '@org/core'
import { rbacErrors } from '../errors.js'
import { MembershipView } from '../tenants/schema.js'
import {
  CreateInvite,
  InvitePreviewView,
  InviteQuery,
  InviteView,
  IssuedInviteView,
  ResendInvite,
  TokenInput,
} from './schema.js'
import type { Invites } from './service.js'

/** None of them is idempotent: a kept response would keep a token in clear. */
export function inviteRoutes(invites: Invites): Route[] {
  return [
    route({
      id: 'rbac.listInvites',
      method: 'GET',
      path: '/invites',
      summary: 'List the invites',
      can: ['read', 'team'],
      query: InviteQuery,
      response: pageOf(InviteView),
      handler: ({ query }, ctx) => invites.list(ctx, query),
    }),
    route({
      id: 'rbac.createInvite',
      method: 'POST',
      path: '/invites',
      summary: 'Invite somebody by e-mail, or make a link',
      description: 'The token is in this response and nowhere else. `sentAt` says whether the mail went out.',
      can: ['create', 'team'],
      body: CreateInvite,
      status: 201,
      response: IssuedInviteView,
      errors: [rbacErrors.already_invited, rbacErrors.exceeds_own_rights],
      handler: ({ body }, ctx) => invites.create(ctx, body),
    }),
    route({
      id: 'rbac.acceptInvite',
      method: 'POST',
      path: '/invites/accept',
      summary: 'Join the team that the token is for',
      description:
        'Whoever is signed in joins, whatever tenant they are in at the moment. An invite to an address takes somebody ' +
        'who has verified it.',
      can: 'authenticated',
      body: TokenInput,
      response: MembershipView,
      errors: [
        coreErrors.forbidden,
        rbacErrors.invite_not_found,
        rbacErrors.invite_wrong_email,
        rbacErrors.already_member,
        rbacErrors.invite_void,
      ],
      async handler({ body: { token } }, { actor, tx, ip, userAgent, requestId }) {
        if (actor.type !== 'user') throw coreErrors.forbidden({ detail: 'Only a user can accept an invite.' })
        return invites.accept({ token, userId: actor.id }, { tx, ip, userAgent, requestId })
      },
    }),
    route({
      id: 'rbac.previewInvite',
      method: 'POST',
      path: '/invites/preview',
      summary: 'See what a token offers',
      description: 'For the page that an invite leads to, before anybody signs in.',
      can: 'public',
      body: TokenInput,
      response: InvitePreviewView,
      errors: [rbacErrors.invite_not_found],
      handler: ({ body }) => invites.preview(body),
    }),
    route({
      id: 'rbac.getInvite',
      method: 'GET',
      path: '/invites/:id',
      summary: 'Get one invite',
      can: ['read', 'team'],
      params: IdParams,
      response: InviteView,
      errors: [coreErrors.not_found],
      handler: ({ params }, ctx) => invites.get(ctx, params.id),
    }),
    route({
      id: 'rbac.resendInvite',
      method: 'POST',
      path: '/invites/:id/resend',
      summary: 'Send an invite again, with a new token',
      description: 'The old token is dead at once.',
      can: ['create', 'team'],
      params: IdParams,
      body: ResendInvite.optional(),
      response: IssuedInviteView,
      errors: [
        coreErrors.not_found,
        rbacErrors.invite_closed,
        rbacErrors.invite_void,
        rbacErrors.exceeds_own_rights,
        rbacErrors.already_invited,
      ],
      handler: ({ params, body }, ctx) => invites.resend(ctx, params.id, body),
    }),
    route({
      id: 'rbac.revokeInvite',
      method: 'DELETE',
      path: '/invites/:id',
      summary: 'Revoke an invite',
      can: ['delete', 'team'],
      params: IdParams,
      errors: [coreErrors.not_found, rbacErrors.invite_closed],
      handler: ({ params }, ctx) => invites.revoke(ctx, params.id),
    }),
  ]
}
