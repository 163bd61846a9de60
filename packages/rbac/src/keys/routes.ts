import { coreErrors, IdParams, pageOf, type Route, route } from '@org/core'
import { rbacErrors } from '../errors.js'
import { CreateKeyBody, KeyQuery, KeyView, KeyWithSecretView, RotateKey, UpdateKeyBody } from './schema.js'
import type { KeyManagement } from './service.js'

/** What shows a secret takes no `Idempotency-Key`: the answer would be kept, and the secret with it. */
export function keyRoutes(keys: KeyManagement): Route[] {
  return [
    route({
      id: 'rbac.listKeys',
      method: 'GET',
      path: '/keys',
      summary: 'List the API keys of the team',
      can: ['read', 'keys'],
      query: KeyQuery,
      response: pageOf(KeyView),
      handler: ({ query }, ctx) => keys.list(ctx, query),
    }),
    route({
      id: 'rbac.createKey',
      method: 'POST',
      path: '/keys',
      summary: 'Make an API key',
      description: 'The answer holds the secret, which is never shown again. The scopes must be rights of the caller.',
      can: ['create', 'keys'],
      body: CreateKeyBody,
      status: 201,
      response: KeyWithSecretView,
      errors: [rbacErrors.exceeds_own_rights],
      handler: ({ body }, ctx) => keys.create(ctx, body),
    }),
    route({
      id: 'rbac.getKey',
      method: 'GET',
      path: '/keys/:id',
      summary: 'Show an API key',
      can: ['read', 'keys'],
      params: IdParams,
      response: KeyView,
      errors: [coreErrors.not_found],
      handler: ({ params: { id } }, ctx) => keys.get(ctx, id),
    }),
    route({
      id: 'rbac.updateKey',
      method: 'PATCH',
      path: '/keys/:id',
      summary: 'Change an API key',
      description: 'More scopes, a later end or more addresses need all of its scopes as rights of the caller.',
      can: ['update', 'keys'],
      params: IdParams,
      body: UpdateKeyBody,
      response: KeyView,
      errors: [coreErrors.not_found, rbacErrors.exceeds_own_rights, rbacErrors.key_revoked],
      handler: ({ params: { id }, body }, ctx) => keys.update(ctx, id, body),
    }),
    route({
      id: 'rbac.revokeKey',
      method: 'DELETE',
      path: '/keys/:id',
      summary: 'Revoke an API key for good',
      can: ['delete', 'keys'],
      params: IdParams,
      errors: [coreErrors.not_found],
      handler: async ({ params: { id } }, ctx) => void (await keys.revoke(ctx, id)),
    }),
    route({
      id: 'rbac.rotateKey',
      method: 'POST',
      path: '/keys/:id/rotate',
      summary: 'Make a new secret; the old one works until the overlap ends',
      description: 'The answer holds the new secret, which is never shown again.',
      can: ['update', 'keys'],
      params: IdParams,
      body: RotateKey,
      response: KeyWithSecretView,
      errors: [coreErrors.not_found, rbacErrors.exceeds_own_rights, rbacErrors.key_revoked],
      handler: ({ params: { id }, body }, ctx) => keys.rotate(ctx, id, body),
    }),
  ]
}
