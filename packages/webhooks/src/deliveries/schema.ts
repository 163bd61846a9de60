import { Id, PageQuery, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'

/**
 * - `pending`: to be sent, now or when the next attempt is due
 * - `held`: the endpoint is disabled; enabling it sends what was held
 * - `delivered`: the endpoint answered 2xx
 * - `dead_letter`: every attempt of the schedule failed; waits for somebody to redrive or discard it
 * - `canceled`: somebody canceled it, or its endpoint was deleted
 * - `discarded`: a dead letter that somebody gave up, or what was set aside for longer than `retention.setAsideMs`
 */
export const DeliveryStatus = z.enum(['pending', 'held', 'delivered', 'dead_letter', 'canceled', 'discarded'])
export type DeliveryStatus = z.infer<typeof DeliveryStatus>

/** Why an attempt failed. */
export const AttemptError = z.enum([
  'http_status',
  'redirect',
  'gone',
  'timeout',
  'dns_failed',
  'address_forbidden',
  'connection_refused',
  'connection_closed',
  'tls_failed',
  'malformed_response',
  'send_failed',
  'transform_failed',
  'worker_stopped',
  'worker_lost',
])
export type AttemptError = z.infer<typeof AttemptError>

/** One message on its way to one endpoint. */
export const Delivery = z.object({
  id: z.string(),
  messageId: z.string(),
  endpointId: z.string(),
  eventType: z.string(),
  status: DeliveryStatus,
  /** How many attempts were begun. */
  attempts: z.int(),
  /** Null unless it waits for one. */
  nextAttemptAt: Time.nullable(),
  /** The HTTP status of the latest answer. */
  lastStatus: z.int().nullable(),
  lastError: AttemptError.nullable(),
  createdAt: Time,
  endedAt: Time.nullable(),
})
export type Delivery = z.infer<typeof Delivery>

/** A delivery as it is stored. */
export type StoredDelivery = Omit<Delivery, 'nextAttemptAt'> & {
  tenantId: string
  /** How many attempts of the retry schedule are used up; starts anew when somebody retries a delivery that ended. */
  step: number
  /** When its next attempt is due. */
  dueAt: number
  /** The fencing token of whoever is sending it. Finishing takes this very token. */
  leaseToken: string | null
  /** When the lease ends, and whoever claims it next takes it over. */
  leaseUntil: number | null
  /** How many leases of it ended in a row without a word of what came of it. */
  lost: number
  /** Whether it is among what is counted of its endpoint, or looked through for its key, while it is leased. */
  counted: true | null
  /** Goes out after those of the same endpoint and key with a lower `position`; null for no order. */
  orderKey: string | null
  /** Without a key it is 0, or `besideOrder` at an endpoint that keeps an order. */
  position: number
  /** Its message's: a later message with the same key cancels it; null for none. */
  coalesceKey: string | null
}

/** The `position` of what has no key and must not be hidden behind all that waits in an order. */
export const besideOrder = 1

/** One HTTP exchange. Bodies are cut at 16 KiB. */
export const Attempt = z.object({
  deliveryId: z.string(),
  /** 1 for the first. */
  number: z.int(),
  url: z.string(),
  /** The address that was connected to, as it was resolved. */
  address: z.string().nullable(),
  requestHeaders: z.record(z.string(), z.string()),
  status: z.int().nullable(),
  responseHeaders: z.record(z.string(), z.string()).nullable(),
  responseBody: z.string().nullable(),
  responseTruncated: z.boolean(),
  /** Null if it succeeded. */
  error: AttemptError.nullable(),
  detail: z.string().nullable(),
  startedAt: Time,
  durationMs: z.number(),
})
export type Attempt = z.infer<typeof Attempt>

export const DeliveryFilter = z.strictObject({
  endpointId: Id.optional(),
  messageId: Id.optional(),
  eventType: z
    .string()
    .max(128)
    .regex(/^[\w.]+$/, 'must be an event type')
    .optional(),
  status: DeliveryStatus.optional(),
  /** Made in that time: `since` counts in, `until` does not. */
  since: Time.optional(),
  until: Time.optional(),
})
export type DeliveryFilter = z.infer<typeof DeliveryFilter>

/** Times in epoch milliseconds. */
export const DeliveryQuery = PageQuery.extend(DeliveryFilter.shape)
export type DeliveryQuery = z.input<typeof DeliveryQuery>

export const DeadLetterQuery = DeliveryQuery.omit({ status: true, messageId: true })
export type DeadLetterQuery = z.input<typeof DeadLetterQuery>

const timeParams = { since: TimeParam.optional(), until: TimeParam.optional() }

/** The same over HTTP. */
export const DeliveryParams = DeliveryQuery.extend(timeParams)
export const DeadLetterParams = DeadLetterQuery.extend(timeParams)

export const DeliveryView = Delivery.extend({
  nextAttemptAt: TimeView.nullable(),
  createdAt: TimeView,
  endedAt: TimeView.nullable(),
}).meta({ id: 'WebhookDelivery' })

export const AttemptView = Attempt.extend({ startedAt: TimeView }).meta({ id: 'WebhookAttempt' })
