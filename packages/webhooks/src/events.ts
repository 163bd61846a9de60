/**
 * What this module tells of: `data` by event type. Spread it into `eventTypes` and the tenants' own endpoints hear of it:
 * `defineEventTypes({ ...defaultEventTypes, ...webhooksEvents })`.
 */
import { z } from 'zod'
import { AttemptError } from './deliveries/schema.js'
import { Endpoint } from './endpoints/schema.js'

const { url, enabled, disabledReason } = Endpoint.shape
const endpoint = z.object({ endpointId: z.string(), url, enabled, disabledReason })
const exampleEndpoint = {
  endpointId: 'ep_1',
  url: 'https://example.com/hooks',
  enabled: true,
  disabledReason: null,
} satisfies z.infer<typeof endpoint>
const disabledEndpoint = { ...exampleEndpoint, enabled: false, disabledReason: 'gone' } as const

const delivery = z.object({
  deliveryId: z.string(),
  messageId: z.string(),
  endpointId: z.string(),
  /** The type of the message that it carries. */
  eventType: z.string(),
})
const exampleDelivery = { deliveryId: 'del_1', messageId: 'msg_1', endpointId: 'ep_1', eventType: 'key.created' }

export const webhooksEvents = {
  'endpoint.created': endpoint.meta({ description: 'An endpoint was registered.', examples: [exampleEndpoint] }),
  'endpoint.updated': endpoint.meta({ description: 'An endpoint was changed.', examples: [exampleEndpoint] }),
  'endpoint.deleted': endpoint.meta({
    description: 'An endpoint was deleted, and what it had pending canceled.',
    examples: [exampleEndpoint],
  }),
  'endpoint.enabled': endpoint.meta({
    description: 'An endpoint was enabled, and what was held goes out.',
    examples: [exampleEndpoint],
  }),
  'endpoint.disabled': endpoint.meta({
    description: 'An endpoint was disabled, by somebody or because it answered 410.',
    examples: [disabledEndpoint],
  }),
  'endpoint.secret_rotated': endpoint.meta({
    description: 'An endpoint was given a new signing secret.',
    examples: [exampleEndpoint],
  }),
  'delivery.dead_lettered': delivery
    .extend({ attempts: z.int(), lastStatus: z.int().nullable(), lastError: AttemptError.nullable() })
    .meta({
      description: 'Every attempt of a delivery failed.',
      examples: [{ ...exampleDelivery, attempts: 10, lastStatus: 500, lastError: 'http_status' }],
    }),
  'delivery.retried': delivery.meta({
    description: 'Somebody had a delivery sent now, or once more.',
    examples: [exampleDelivery],
  }),
  'delivery.canceled': delivery.meta({
    description: 'Somebody stopped further attempts of a delivery.',
    examples: [exampleDelivery],
  }),
  'delivery.redriven': delivery.meta({
    description: 'Somebody had a dead letter sent again.',
    examples: [exampleDelivery],
  }),
  'delivery.discarded': delivery.meta({
    description: 'Somebody gave a dead letter up.',
    examples: [exampleDelivery],
  }),
}
