import { ExternalId, Time, TimeView } from '@org/core'
import { z } from 'zod'
import type { EventTypes } from '../event-types/catalog.js'

const Channels = z.array(z.string().min(1).max(128)).min(1).max(5)

/** One event on its way to the endpoints that subscribe to it. */
export const Message = z.object({
  /** The `webhook-id` of every attempt to every endpoint. */
  id: z.string(),
  type: z.string(),
  channels: z.array(z.string()).nullable(),
  idempotencyKey: z.string().nullable(),
  orderingKey: z.string().nullable(),
  coalesceKey: z.string().nullable(),
  createdAt: Time,
})
export type Message = z.infer<typeof Message>

export type StoredMessage = Message & {
  tenantId: string
  /** As it is signed and sent, byte for byte, by every attempt; null once it was expunged. */
  body: string | null
  fingerprint: string
  /** It was sent to one endpoint alone, to try it: no event of the host's. */
  test: boolean
  /** The last endpoint that was looked at while it goes to a great many, '' for none yet; null when that is done. */
  fanOutAfter: string | null
}

/** A message as it is shown. */
export type MessageWithData = Message & {
  /** Null once the payload was expunged. */
  data: unknown
  expunged: boolean
  /** How many endpoints it goes to, so far. */
  deliveries: number
}

/** What a receiver gets: the body of Standard Webhooks (https://www.standardwebhooks.com). */
export interface MessageBody {
  type: string
  /** When it was published, in RFC 3339. */
  timestamp: string
  data: unknown
}

export const PublishInput = z.strictObject({
  tenantId: ExternalId,
  type: z.string(),
  data: z.unknown(),
  /** The same key with the same content publishes once, for as long as the message exists. Per tenant; at most 128 characters. */
  idempotencyKey: ExternalId.optional(),
  /** Narrows the message to endpoints that hear one of these channels, and to those that hear all. */
  channels: Channels.optional(),
  /** Endpoints that keep an order by key send messages of the same key one after another. */
  orderingKey: ExternalId.optional(),
  /** Takes the place of earlier messages with the same key: what of them is still to be sent is canceled. Per tenant. */
  coalesceKey: ExternalId.optional(),
})
type Unnamed = Omit<z.input<typeof PublishInput>, 'type' | 'data'>

/** What `publish` takes: `data` is typed by the catalog's schema for `type`. */
export type Publish<Types extends EventTypes> = {
  [Type in keyof Types & string]: Unnamed & { type: Type; data: z.input<Types[Type]> }
}[keyof Types & string]

export interface Published {
  messageId: string
  /** How many endpoints it goes to; null if the tenant has so many, or an order to keep, that a worker finds out. */
  deliveries: number | null
  /** True if the idempotency key was used before: this is the earlier message, and nothing new was written. */
  duplicate: boolean
}

export const MessageView = Message.extend({
  createdAt: TimeView,
  data: z.unknown(),
  expunged: z.boolean(),
  deliveries: z.int(),
}).meta({ id: 'WebhookMessage' })

export const MessageCanceledView = z.object({ canceled: z.int() }).meta({ id: 'WebhookMessageCanceled' })
