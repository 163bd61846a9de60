import { IdParams, PageQuery, pageOf, type Route, route } from '@org/core'
import { webhooksErrors } from '../errors.js'
import type { DeadLetters } from './dead-letters.js'
import { AttemptView, DeadLetterParams, DeliveryParams, DeliveryView } from './schema.js'
import type { Deliveries } from './service.js'

const partialPages =
  '`since` counts in, `until` does not. With filters, a page may have fewer than its limit, or none, and a `next` all the ' +
  'same: each looks at so many rows and no more.'

export function deliveryRoutes(deliveries: Deliveries): Route[] {
  return [
    route({
      id: 'webhooks.listDeliveries',
      method: 'GET',
      path: '/deliveries',
      summary: 'List deliveries, the newest first',
      can: ['read', 'webhooks'],
      description: partialPages,
      query: DeliveryParams,
      response: pageOf(DeliveryView),
      handler: ({ query }, ctx) => deliveries.list(ctx, query),
    }),
    route({
      id: 'webhooks.getDelivery',
      method: 'GET',
      path: '/deliveries/:id',
      summary: 'Show a delivery',
      can: ['read', 'webhooks'],
      params: IdParams,
      response: DeliveryView,
      handler: ({ params: { id } }, ctx) => deliveries.get(ctx, id),
    }),
    route({
      id: 'webhooks.listAttempts',
      method: 'GET',
      path: '/deliveries/:id/attempts',
      summary: 'List the attempts of a delivery, the latest first',
      can: ['read', 'webhooks'],
      params: IdParams,
      query: PageQuery,
      response: pageOf(AttemptView),
      handler: ({ params: { id }, query }, ctx) => deliveries.attempts(ctx, id, query),
    }),
    route({
      id: 'webhooks.retryDelivery',
      method: 'POST',
      path: '/deliveries/:id/retry',
      summary: 'Send a delivery now, or once more',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: DeliveryView,
      errors: [
        webhooksErrors.delivery_in_flight,
        webhooksErrors.endpoint_deleted,
        webhooksErrors.endpoint_disabled,
        webhooksErrors.payload_expunged,
      ],
      handler: ({ params: { id } }, ctx) => deliveries.retry(ctx, id),
    }),
    route({
      id: 'webhooks.cancelDelivery',
      method: 'POST',
      path: '/deliveries/:id/cancel',
      summary: 'Make no further attempt',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: DeliveryView,
      errors: [webhooksErrors.delivery_ended],
      handler: ({ params: { id } }, ctx) => deliveries.cancel(ctx, id),
    }),
  ]
}

export function deadLetterRoutes(deadLetters: DeadLetters): Route[] {
  return [
    route({
      id: 'webhooks.listDeadLetters',
      method: 'GET',
      path: '/dead-letters',
      summary: 'List the deliveries whose every attempt failed, the newest first',
      can: ['read', 'webhooks'],
      description: partialPages,
      query: DeadLetterParams,
      response: pageOf(DeliveryView),
      handler: ({ query }, ctx) => deadLetters.list(ctx, query),
    }),
    route({
      id: 'webhooks.redriveDeadLetter',
      method: 'POST',
      path: '/dead-letters/:id/redrive',
      summary: 'Send a dead letter again, from the beginning of the schedule',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: DeliveryView,
      errors: [webhooksErrors.endpoint_deleted, webhooksErrors.endpoint_disabled, webhooksErrors.payload_expunged],
      handler: ({ params: { id } }, ctx) => deadLetters.redrive(ctx, id),
    }),
    route({
      id: 'webhooks.discardDeadLetter',
      method: 'POST',
      path: '/dead-letters/:id/discard',
      summary: 'Give a dead letter up',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: DeliveryView,
      handler: ({ params: { id } }, ctx) => deadLetters.discard(ctx, id),
    }),
  ]
}
