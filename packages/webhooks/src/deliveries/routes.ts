import { IdParams, PageQuery, pageOf, type Route, route } from '@org/core'
import { webhooksErrors } from '../errors.js'
import { AttemptView, DeadLetterQuery, DeliveryQuery, DeliveryView } from './schema.js'
import type { DeadLettersService, DeliveriesService } from './service.js'

const params = IdParams
const { delivery_in_flight, delivery_ended, endpoint_deleted, endpoint_disabled } = webhooksErrors

export function deliveryRoutes(deliveries: DeliveriesService): Route[] {
  return [
    route({
      id: 'webhooks.listDeliveries',
      method: 'GET',
      path: '/deliveries',
      summary: 'List deliveries, the newest first',
      can: ['read', 'webhooks'],
      query: DeliveryQuery,
      response: pageOf(DeliveryView),
      handler: ({ query }, ctx) => deliveries.list(ctx, query),
    }),
    route({
      id: 'webhooks.getDelivery',
      method: 'GET',
      path: '/deliveries/:id',
      summary: 'Show a delivery',
      can: ['read', 'webhooks'],
      params,
      response: DeliveryView,
      handler: ({ params }, ctx) => deliveries.get(ctx, params.id),
    }),
    route({
      id: 'webhooks.listAttempts',
      method: 'GET',
      path: '/deliveries/:id/attempts',
      summary: 'List the attempts of a delivery, the latest first',
      can: ['read', 'webhooks'],
      params,
      query: PageQuery,
      response: pageOf(AttemptView),
      handler: ({ params, query }, ctx) => deliveries.attempts(ctx, params.id, query),
    }),
    route({
      id: 'webhooks.retryDelivery',
      method: 'POST',
      path: '/deliveries/:id/retry',
      summary: 'Send a delivery now, or once more',
      can: ['update', 'webhooks'],
      params,
      response: DeliveryView,
      errors: [delivery_in_flight, endpoint_deleted, endpoint_disabled],
      handler: ({ params }, ctx) => deliveries.retry(ctx, params.id),
    }),
    route({
      id: 'webhooks.cancelDelivery',
      method: 'POST',
      path: '/deliveries/:id/cancel',
      summary: 'Make no further attempt',
      can: ['update', 'webhooks'],
      params,
      response: DeliveryView,
      errors: [delivery_ended],
      handler: ({ params }, ctx) => deliveries.cancel(ctx, params.id),
    }),
  ]
}

export function deadLetterRoutes(deadLetters: DeadLettersService): Route[] {
  return [
    route({
      id: 'webhooks.listDeadLetters',
      method: 'GET',
      path: '/dead-letters',
      summary: 'List the deliveries whose every attempt failed, the newest first',
      can: ['read', 'webhooks'],
      query: DeadLetterQuery,
      response: pageOf(DeliveryView),
      handler: ({ query }, ctx) => deadLetters.list(ctx, query),
    }),
    route({
      id: 'webhooks.redriveDeadLetter',
      method: 'POST',
      path: '/dead-letters/:id/redrive',
      summary: 'Send a dead letter again, from the beginning of the schedule',
      can: ['update', 'webhooks'],
      params,
      response: DeliveryView,
      errors: [endpoint_deleted, endpoint_disabled],
      handler: ({ params }, ctx) => deadLetters.redrive(ctx, params.id),
    }),
    route({
      id: 'webhooks.discardDeadLetter',
      method: 'POST',
      path: '/dead-letters/:id/discard',
      summary: 'Give a dead letter up',
      can: ['update', 'webhooks'],
      params,
      response: DeliveryView,
      handler: ({ params }, ctx) => deadLetters.discard(ctx, params.id),
    }),
  ]
}
