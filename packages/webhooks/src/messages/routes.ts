import { IdParams, type Route, route } from '@org/core'
import { MessageView } from './schema.js'
import type { Messages } from './service.js'

export function messageRoutes(messages: Pick<Messages<never>, 'get'>): Route[] {
  return [
    route({
      id: 'webhooks.getMessage',
      method: 'GET',
      path: '/messages/:id',
      summary: 'Show a message and its data',
      can: ['read', 'webhooks'],
      params: IdParams,
      response: MessageView,
      handler: ({ params: { id } }, ctx) => messages.get(ctx, id),
    }),
  ]
}
