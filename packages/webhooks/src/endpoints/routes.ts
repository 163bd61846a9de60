import { IdParams, PageQuery, pageOf, type Route, route, type Scope } from '@org/core'
import { webhooksErrors } from '../errors.js'
import {
  CreateEndpoint,
  EndpointView,
  EndpointWithSecretView,
  RotateSecret,
  SendTest,
  type TestSent,
  TestSentView,
  UpdateEndpoint,
} from './schema.js'
import type { EndpointsService } from './service.js'

const params = IdParams

/** What the host and the routes see: the engine's part is left out, and sending a test is the messages' doing. */
export interface PublicEndpoints extends Omit<EndpointsService, 'settleDisabled'> {
  sendTest(scope: Scope, id: string, input?: SendTest): Promise<TestSent>
}

export function endpointRoutes(endpoints: PublicEndpoints): Route[] {
  return [
    route({
      id: 'webhooks.listEndpoints',
      method: 'GET',
      path: '/endpoints',
      summary: 'List the endpoints',
      can: ['read', 'webhooks'],
      query: PageQuery,
      response: pageOf(EndpointView),
      handler: ({ query }, ctx) => endpoints.list(ctx, query),
    }),
    route({
      id: 'webhooks.createEndpoint',
      method: 'POST',
      path: '/endpoints',
      summary: 'Register an endpoint',
      description: 'The answer holds the signing secret, which is never shown again.',
      can: ['create', 'webhooks'],
      body: CreateEndpoint,
      status: 201,
      idempotent: true,
      response: EndpointWithSecretView,
      handler: ({ body }, ctx) => endpoints.create(ctx, body),
    }),
    route({
      id: 'webhooks.getEndpoint',
      method: 'GET',
      path: '/endpoints/:id',
      summary: 'Show an endpoint',
      can: ['read', 'webhooks'],
      params,
      response: EndpointView,
      handler: ({ params }, ctx) => endpoints.get(ctx, params.id),
    }),
    route({
      id: 'webhooks.updateEndpoint',
      method: 'PATCH',
      path: '/endpoints/:id',
      summary: 'Change an endpoint',
      can: ['update', 'webhooks'],
      params,
      body: UpdateEndpoint,
      response: EndpointView,
      handler: ({ params, body }, ctx) => endpoints.update(ctx, params.id, body),
    }),
    route({
      id: 'webhooks.deleteEndpoint',
      method: 'DELETE',
      path: '/endpoints/:id',
      summary: 'Delete an endpoint and cancel what it has pending',
      can: ['delete', 'webhooks'],
      params,
      handler: ({ params }, ctx) => endpoints.delete(ctx, params.id),
    }),
    route({
      id: 'webhooks.enableEndpoint',
      method: 'POST',
      path: '/endpoints/:id/enable',
      summary: 'Enable an endpoint and send what was held',
      can: ['update', 'webhooks'],
      params,
      response: EndpointView,
      handler: ({ params }, ctx) => endpoints.enable(ctx, params.id),
    }),
    route({
      id: 'webhooks.disableEndpoint',
      method: 'POST',
      path: '/endpoints/:id/disable',
      summary: 'Disable an endpoint; what is published meanwhile is held',
      can: ['update', 'webhooks'],
      params,
      response: EndpointView,
      handler: ({ params }, ctx) => endpoints.disable(ctx, params.id),
    }),
    route({
      id: 'webhooks.rotateSecret',
      method: 'POST',
      path: '/endpoints/:id/rotate-secret',
      summary: 'Make a new signing secret; the old one goes on signing for a while',
      description: 'The answer holds the new secret, which is never shown again.',
      can: ['update', 'webhooks'],
      params,
      body: RotateSecret,
      response: EndpointWithSecretView,
      handler: ({ params, body }, ctx) => endpoints.rotateSecret(ctx, params.id, body),
    }),
    route({
      id: 'webhooks.sendTest',
      method: 'POST',
      path: '/endpoints/:id/test',
      summary: 'Send a test message to this endpoint, as any other is sent',
      can: ['update', 'webhooks'],
      params,
      body: SendTest,
      status: 201,
      idempotent: true,
      response: TestSentView,
      errors: [webhooksErrors.endpoint_disabled],
      handler: ({ params, body }, ctx) => endpoints.sendTest(ctx, params.id, body),
    }),
  ]
}
