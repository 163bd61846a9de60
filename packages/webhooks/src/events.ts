/**
 * What this module tells of: `data` by event type. Spread it into `eventTypes` and the tenants' own endpoints hear of it:
 * `defineEventTypes({ ...defaultEventTypes, ...webhooksEvents })`.
 */
import { z } from 'zod'
import { AttemptError } from './deliveries/schema.js'
import { Endpoint } from './endpoints/schema.js'
import { Job } from './jobs/schema.js'

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

const { kind, processed, affected, skipped, error } = Job.shape
const jobEndpoint = z.string().nullable()
const job = z.object({ jobId: z.string(), kind, endpointId: jobEndpoint, processed, affected, skipped, error })
const jobCounts = { processed: 1200, affected: 1180, skipped: 20 }
const exampleJob = { jobId: 'job_1', kind: 'recover', endpointId: 'ep_1', ...jobCounts, error: null } as const

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
    description: 'An endpoint was disabled, by somebody, because it answered 410, or because it failed for five days.',
    examples: [disabledEndpoint],
  }),
  'endpoint.secret_rotated': endpoint.meta({
    description: 'An endpoint was given a new signing secret.',
    examples: [exampleEndpoint],
  }),
  'message.canceled': z.object({ messageId: z.string(), eventType: z.string(), canceled: z.int() }).meta({
    description: 'Somebody canceled what was still to be sent of a message.',
    examples: [{ messageId: 'msg_1', eventType: 'key.created', canceled: 3 }],
  }),
  'message.expunged': z.object({ messageId: z.string(), eventType: z.string(), canceled: z.int() }).meta({
    description: 'Somebody had the payload of a message forgotten, and what was still to be sent of it canceled.',
    examples: [{ messageId: 'msg_1', eventType: 'key.created', canceled: 3 }],
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
    description: 'A dead letter was given up by somebody, or what was set aside was kept for as long as it is to be.',
    examples: [exampleDelivery],
  }),
  'job.started': job.meta({
    description:
      'Somebody had many deliveries sent: recovered, replayed, redriven, or released by enabling an endpoint.',
    examples: [{ ...exampleJob, processed: 0, affected: 0, skipped: 0 }],
  }),
  'job.completed': job.meta({ description: 'A job has looked at all of its rows.', examples: [exampleJob] }),
  'job.canceled': job.meta({ description: 'Somebody stopped a job.', examples: [exampleJob] }),
  'job.failed': job.meta({
    description: 'A job ended early, because its endpoint was deleted.',
    examples: [{ ...exampleJob, error: 'endpoint_deleted' }],
  }),
}
