import { Text, Time, TimeView } from '@org/core'
import { z } from 'zod'

const Label = z.string().min(1).max(128)

const Description = Text.min(1, 'write something, or null for none').max(1024).nullable()

/** Free-form text by name, for the host and its customers. */
const Metadata = z.record(Label, z.string().max(1024)).refine((value) => Object.keys(value).length <= 50, {
  message: 'at most 50 entries',
})

/**
 * Which event types it hears: names and wildcards such as `key.*`; null for all. Never an empty list, which some would
 * read as none and others as all.
 */
const Subscription = z.array(Label).min(1, 'list at least one event type, or null for all').max(200)

/** Which channels it hears; null for every message, with or without channels. */
const EndpointChannels = z.array(Label).min(1, 'list at least one channel, or null for all').max(10)

/** A receiver of webhooks. */
export const Endpoint = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string().nullable(),
  eventTypes: z.array(z.string()).nullable(),
  channels: z.array(z.string()).nullable(),
  metadata: z.record(z.string(), z.string()),
  enabled: z.boolean(),
  /** `manual`: somebody disabled it. `gone`: it answered 410. */
  disabledReason: z.enum(['manual', 'gone']).nullable(),
  createdAt: Time,
  updatedAt: Time,
})
export type Endpoint = z.infer<typeof Endpoint>

/** A signing secret (`whsec_…`); null for `expiresAt` is the current one, the others are being rotated out. */
export interface SigningSecret {
  value: string
  /** Epoch milliseconds. */
  expiresAt: number | null
}

/** An endpoint as it is stored. The secrets, current one first, never leave the module except when they are made. */
export type StoredEndpoint = Endpoint & { tenantId: string; secrets: SigningSecret[] }

/** What `create` and `rotateSecret` answer: the only times that a secret is shown. */
export type EndpointWithSecret = Endpoint & { secret: string }

export const CreateEndpoint = z.strictObject({
  /** `https://…`, reachable from the public internet unless the host's `network` options allow more. */
  url: z.string().min(1).max(2048),
  description: Description.default(null),
  eventTypes: Subscription.nullable().default(null),
  channels: EndpointChannels.nullable().default(null),
  metadata: Metadata.default({}),
})
export type CreateEndpoint = z.input<typeof CreateEndpoint>

/** What is left out stays as it is. */
export const UpdateEndpoint = z.strictObject({
  url: z.string().min(1).max(2048).optional(),
  description: Description.optional(),
  eventTypes: Subscription.nullable().optional(),
  channels: EndpointChannels.nullable().optional(),
  metadata: Metadata.optional(),
})
export type UpdateEndpoint = z.input<typeof UpdateEndpoint>

const maxOverlapSeconds = 7 * 24 * 60 * 60

export const RotateSecret = z
  .strictObject({
    /** How long the old secret goes on signing next to the new one, in seconds: 24 hours unless told, at most 7 days. */
    overlapSeconds: z
      .int()
      .min(0)
      .max(maxOverlapSeconds)
      .default(24 * 60 * 60),
  })
  .prefault({})
export type RotateSecret = z.input<typeof RotateSecret>

export const SendTest = z
  .strictObject({
    /** An event type of the catalogue; `webhook.test` unless told. */
    type: Label.optional(),
    /** Its data; the example of the type unless told. */
    data: z.unknown().optional(),
  })
  .prefault({})
export type SendTest = z.input<typeof SendTest>

/** Where to look for what came of a test. */
export const TestSent = z.object({ messageId: z.string(), deliveryId: z.string() })
export type TestSent = z.infer<typeof TestSent>

export const EndpointView = Endpoint.extend({ createdAt: TimeView, updatedAt: TimeView }).meta({
  id: 'WebhookEndpoint',
})

export const EndpointWithSecretView = EndpointView.extend({
  secret: z.string().describe('Keep it now: it is never shown again.'),
}).meta({ id: 'WebhookEndpointWithSecret' })

export const TestSentView = TestSent.meta({ id: 'WebhookTestSent' })
