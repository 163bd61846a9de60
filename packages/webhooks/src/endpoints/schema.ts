import { Text, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { longestDelay, maxAttempts } from '../delivery/backoff.js'
import { ExtraSignature } from '../signing/extra.js'
import { HeaderName, HeaderValue } from '../signing/headers.js'
import { Filter } from './filter.js'

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

/** How long each attempt waits for the one before it, in milliseconds; as many attempts as there are entries. */
const RetrySchedule = z.array(z.int().min(0).max(longestDelay)).min(1, 'list at least one delay').max(maxAttempts)

export const maxEndpointTimeoutMs = 60_000

/** The deadline of a whole exchange, in milliseconds: at least a second, at most a minute. */
const Timeout = z.int().min(1_000).max(maxEndpointTimeoutMs)

/** So many attempts in any such period, at the most: a tenth of them at once, and then evenly. They count when claimed. */
const RateLimit = z.strictObject({
  limit: z.int().min(1).max(1_000_000),
  periodMs: z
    .int()
    .min(1_000)
    .max(24 * 60 * 60 * 1000),
})

/** How many are sent to it at once, over all workers. */
const MaxInFlight = z.int().min(1).max(1_000)

/** `key`: one after another for each `orderingKey`. `endpoint`: one after another. */
const Ordering = z.enum(['key', 'endpoint'])

/** Sent with every request, next to ours. The values are secrets: nothing shows them again. */
const Headers = z.record(HeaderName, HeaderValue).refine((value) => Object.keys(value).length <= 20, {
  message: 'at most 20 headers',
})

/**
 * `manual`: somebody disabled it. `gone`: it answered 410. `failing`: it failed for days. `unverified`: it has yet to
 * answer a challenge.
 */
const DisabledReason = z.enum(['manual', 'gone', 'failing', 'unverified'])
export type DisabledReason = z.infer<typeof DisabledReason>

/** A receiver of webhooks. */
export const Endpoint = z.object({
  id: z.string(),
  url: z.string(),
  description: z.string().nullable(),
  eventTypes: z.array(z.string()).nullable(),
  channels: z.array(z.string()).nullable(),
  /** Which messages it hears, by their data; null for all. */
  filter: z.record(z.string(), z.unknown()).nullable(),
  metadata: z.record(z.string(), z.string()),
  /** The names of the headers of its own. */
  headerNames: z.array(z.string()),
  enabled: z.boolean(),
  disabledReason: DisabledReason.nullable(),
  /** Whether its URL has yet to answer a challenge, without which it cannot be enabled. */
  unverified: z.boolean(),
  signing: z.enum(['hmac-sha256', 'ed25519']),
  /** What an Ed25519 signature is verified with (`whpk_…`); null for HMAC. */
  publicKey: z.string().nullable(),
  /** A second signature, for the time of a migration. */
  extraSignature: z.object({ header: z.string(), scheme: ExtraSignature.shape.scheme }).nullable(),
  /** Null for the host's own. */
  retryScheduleMs: z.array(z.int()).nullable(),
  timeoutMs: z.int().nullable(),
  rateLimit: RateLimit.nullable(),
  maxInFlight: z.int().nullable(),
  ordering: Ordering.nullable(),
  createdAt: Time,
  updatedAt: Time,
})
export type Endpoint = z.infer<typeof Endpoint>

/** A signing secret; null for `expiresAt` is the current one, the others are being rotated out. */
export interface SigningSecret {
  /** `whsec_…` or `whsk_…`, which may be sealed. */
  value: string
  /** What a private key is verified with. */
  publicKey?: string
  /** Epoch milliseconds. */
  expiresAt: number | null
}

/** An endpoint as it is stored. The secrets, current one first, never leave the module except when they are made. */
export type StoredEndpoint = Omit<Endpoint, 'filter' | 'headerNames' | 'signing' | 'publicKey' | 'extraSignature'> & {
  tenantId: string
  filter: Filter | null
  /** The values may be sealed. */
  headers: Record<string, string>
  secrets: SigningSecret[]
  extraSignature: ExtraSignature | null
}

/**
 * What `create` and `rotateSecret` answer: what the receiver verifies with, which for HMAC (`whsec_…`) is a secret and
 * never shown again, and for Ed25519 the public key (`whpk_…`).
 */
export type EndpointWithSecret = Endpoint & { secret: string }

const Signing = z.enum(['hmac-sha256', 'ed25519'])

export const CreateEndpoint = z.strictObject({
  /** `https://…`, reachable from the public internet unless the host's `network` options allow more. */
  url: z.string().min(1).max(2048),
  description: Description.default(null),
  eventTypes: Subscription.nullable().default(null),
  channels: EndpointChannels.nullable().default(null),
  filter: Filter.nullable().default(null),
  metadata: Metadata.default({}),
  headers: Headers.default({}),
  signing: Signing.default('hmac-sha256'),
  /** A secret that the receiver has already (`whsec_` and base64 of 24 to 64 bytes); made for you unless given. */
  secret: z.string().max(128).optional(),
  extraSignature: ExtraSignature.nullable().default(null),
  retryScheduleMs: RetrySchedule.nullable().default(null),
  timeoutMs: Timeout.nullable().default(null),
  rateLimit: RateLimit.nullable().default(null),
  maxInFlight: MaxInFlight.nullable().default(null),
  ordering: Ordering.nullable().default(null),
})
export type CreateEndpoint = z.input<typeof CreateEndpoint>

/** What is left out stays as it is. */
export const UpdateEndpoint = z.strictObject({
  url: z.string().min(1).max(2048).optional(),
  description: Description.optional(),
  eventTypes: Subscription.nullable().optional(),
  channels: EndpointChannels.nullable().optional(),
  filter: Filter.nullable().optional(),
  metadata: Metadata.optional(),
  /** By name (RFC 7396): a value sets a header, null removes it, and those not named stay. */
  headers: z.record(HeaderName, HeaderValue.nullable()).optional(),
  extraSignature: ExtraSignature.nullable().optional(),
  retryScheduleMs: RetrySchedule.nullable().optional(),
  timeoutMs: Timeout.nullable().optional(),
  rateLimit: RateLimit.nullable().optional(),
  maxInFlight: MaxInFlight.nullable().optional(),
  ordering: Ordering.nullable().optional(),
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
    /** What the new one signs with: as the old one unless told. */
    signing: Signing.optional(),
    /** A secret that the receiver has already; made for you unless given. */
    secret: z.string().max(128).optional(),
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
