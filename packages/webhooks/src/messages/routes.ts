import { IdParams, type Route, route } from '@org/core'
import type { Expunging } from '../retention/expunge.js'
import { MessageCanceledView, MessageView } from './schema.js'
import type { Messages } from './service.js'

export function messageRoutes(messages: Pick<Messages<never>, 'get' | 'cancel'> & Expunging): Route[] {
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
    route({
      id: 'webhooks.cancelMessage',
      method: 'POST',
      path: '/messages/:id/cancel',
      summary: 'Cancel what is still to be sent of a message',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: MessageCanceledView,
      handler: ({ params: { id } }, ctx) => messages.cancel(ctx, id),
    }),
    route({
      id: 'webhooks.expungeMessage',
      method: 'DELETE',
      path: '/messages/:id/payload',
      summary: 'Forget the payload of a message and cancel what is still to be sent of it',
      can: ['delete', 'webhooks'],
      params: IdParams,
      handler: async ({ params: { id } }, ctx) => void (await messages.expunge(ctx, id)),
    }),
  ]
}
