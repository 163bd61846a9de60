import { IdParams, type Route, route } from '@org/core'
import { MessageView } from './schema.js'
import type { MessagesService } from './service.js'

export function messageRoutes(messages: Pick<MessagesService<never>, 'get'>): Route[] {
  return [
    route({
      id: 'webhooks.getMessage',
      method: 'GET',
      path: '/messages/:id',
      summary: 'Show a message and its data',
      can: ['read', 'webhooks'],
      params: IdParams,
      response: MessageView,
      handler: ({ params }, ctx) => messages.get(ctx, params.id),
    }),
  ]
}
