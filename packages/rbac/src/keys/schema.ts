import { ExternalId, PageQuery, Text, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'
import { parseRange } from './ip.js'

/** How many requests a key may make in each window of time. */
export const RateLimit = z.strictObject({
  limit: z.int().min(1).max(1_000_000_000),
  /** Milliseconds; whole seconds, up to a day. */
  windowMs: z
    .int()
    .min(1000)
    .max(24 * 60 * 60 * 1000)
    .multipleOf(1000, 'must be whole seconds'),
})
export type RateLimit = z.infer<typeof RateLimit>

export const KeyStatus = z.enum(['active', 'expired', 'revoked'])
export type KeyStatus = z.infer<typeof KeyStatus>

/** An API key of a tenant's team, without its secret. */
export const ApiKey = z.object({
  id: z.string(),
  name: z.string(),
  /** How the secret begins, for people to tell keys apart by. */
  start: z.string(),
  /** The most that it may do: permissions, wildcards and all. */
  scopes: z.array(z.string()),
  /**
   * Its maker: the member whose rights bound it at each check, who made it or was handed it since. Null for a key that
   * the host's own code made.
   */
  userId: z.string().nullable(),
  /** Addresses and CIDR blocks that it may be used from; null for all. */
  allowedIps: z.array(z.string()).nullable(),
  rateLimit: RateLimit.nullable(),
  status: KeyStatus,
  expiresAt: Time.nullable(),
  /** To about a minute. */
  lastUsedAt: Time.nullable(),
  createdAt: Time,
  revokedAt: Time.nullable(),
})
export type ApiKey = z.infer<typeof ApiKey>

/** As it is kept. */
export type StoredKey = Omit<ApiKey, 'status'> & { tenantId: string }

/** A secret of a key, as far as it is kept. A key has one without an end, and those that are being rotated out. */
export interface KeySecret {
  /** SHA-256, in hex. */
  hash: string
  keyId: string
  /** Epoch milliseconds; null for the one in force. */
  expiresAt: number | null
}

/** What `create` and `rotate` answer: the only times that the secret is shown. */
export interface KeyWithSecret {
  key: ApiKey
  secret: string
}

const Name = Text.min(1).max(100)
const Scopes = z
  .array(z.string().min(1).max(130))
  .min(1, 'name at least one permission: a key without scopes may do nothing, and never everything')
  .max(100)
const AllowedIps = z
  .array(
    z
      .string()
      .max(49)
      .refine((text) => parseRange(text) !== null, 'must be an IP address or a CIDR block'),
  )
  .min(1, 'list at least one address, or null for all')
  .max(100)
  .nullable()

export const CreateKey = z.strictObject({
  name: Name,
  scopes: Scopes,
  /** Epoch milliseconds; never unless told. */
  expiresAt: Time.nullable().default(null),
  rateLimit: RateLimit.nullable().default(null),
  allowedIps: AllowedIps.default(null),
})
/** Typed by the permissions that there are, where the catalog is known. */
export type CreateKey<P extends string = string> = Omit<z.input<typeof CreateKey>, 'scopes'> & { scopes: readonly P[] }

/** The same over HTTP, with its time as RFC 3339 text. */
export const CreateKeyBody = CreateKey.extend({ expiresAt: TimeParam.nullable().default(null) })

/** What is left out stays as it is. */
export const UpdateKey = z.strictObject({
  name: Name.optional(),
  scopes: Scopes.optional(),
  expiresAt: Time.nullable().optional(),
  rateLimit: RateLimit.nullable().optional(),
  allowedIps: AllowedIps.optional(),
})
export type UpdateKey<P extends string = string> = Omit<z.input<typeof UpdateKey>, 'scopes'> & {
  scopes?: readonly P[] | undefined
}

export const UpdateKeyBody = UpdateKey.extend({ expiresAt: TimeParam.nullable().optional() })

const day = 24 * 60 * 60 * 1000

export const RotateKey = z
  .strictObject({
    /** How long the old secret goes on working, in milliseconds: a day unless told, 0 for not at all, at most 30 days. */
    overlapMs: z
      .int()
      .min(0)
      .max(30 * day)
      .default(day),
  })
  .prefault({})
export type RotateKey = z.input<typeof RotateKey>

export const KeyQuery = PageQuery.extend({ userId: ExternalId.optional() })
export type KeyQuery = z.input<typeof KeyQuery>

/** As it leaves: over HTTP and in events. */
export const KeyView = ApiKey.extend({
  expiresAt: TimeView.nullable(),
  lastUsedAt: TimeView.nullable(),
  createdAt: TimeView,
  revokedAt: TimeView.nullable(),
}).meta({ id: 'RbacKey' })

export const KeyWithSecretView = z
  .object({ key: KeyView, secret: z.string().describe('Keep it now: it is never shown again.') })
  .meta({ id: 'RbacKeyWithSecret' })

/** What a stored key is to others at a moment. */
export function keyOf({ tenantId, ...key }: StoredKey, now: number): ApiKey {
  return { ...key, status: statusOf(key, now) }
}

export function statusOf({ revokedAt, expiresAt }: Pick<StoredKey, 'revokedAt' | 'expiresAt'>, now: number): KeyStatus {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'active'
}
