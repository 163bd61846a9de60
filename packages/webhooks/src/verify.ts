/**
 * For receivers: checks webhooks signed by this module, or by anybody else who follows Standard Webhooks
 * (https://www.standardwebhooks.com). Knows nothing of the rest of the module.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { systemClock } from '@org/core'

export type VerificationErrorCode =
  /** A setting of the receiver's own: no secret, or one that is not `whsec_` and base64. */
  | 'invalid_secret'
  /** A setting of the receiver's own: the tolerance or `now` is not a usable number. */
  | 'invalid_option'
  /** The body was already parsed; pass the bytes that were received. */
  | 'invalid_body'
  | 'missing_header'
  | 'malformed_header'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'signature_mismatch'
  /** The signature is right, but the body is not JSON. */
  | 'malformed_payload'

/** Match on `code`. Answer 400 and do nothing with the request. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'

  constructor(
    readonly code: VerificationErrorCode,
    message: string,
  ) {
    super(message)
  }
}

/** Fetch `Headers`, the headers of a Node.js request, or a plain object; names in any case. */
export type ReceivedHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

export interface VerifyOptions {
  /** How far the sender's clock may be from ours, in seconds either way: 300 unless told. It cannot be switched off. */
  tolerance?: number
  /** The present time in epoch milliseconds; the system's clock unless told. */
  now?: number
}

const defaultTolerance = 300

/**
 * Checks the three headers over the very bytes that were received, and answers the parsed body. `secrets` holds one
 * secret, or several while they are rotated. A message can arrive more than once: remember its `webhook-id`.
 *
 * @throws WebhookVerificationError
 */
export function verifyWebhook<Body = unknown>(
  secrets: string | readonly string[],
  headers: ReceivedHeaders,
  rawBody: string | Uint8Array,
  options: VerifyOptions = {},
): Body {
  const keys = keysOf(secrets)
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array)) {
    throw new WebhookVerificationError(
      'invalid_body',
      'Pass the raw body, as a string or bytes, not what a parser made.',
    )
  }
  const body = Buffer.from(rawBody as string)
  const id = header(headers, 'webhook-id')
  const timestamp = header(headers, 'webhook-timestamp')
  const signatures = header(headers, 'webhook-signature')
  checkTimestamp(timestamp, options)
  const expected = keys.map((key) => createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest())
  if (!anyMatches(signatures, expected)) {
    throw new WebhookVerificationError('signature_mismatch', 'No signature matches; check the secret and the raw body.')
  }
  try {
    return JSON.parse(body.toString()) as Body
  } catch {
    throw new WebhookVerificationError('malformed_payload', 'The body is not JSON.')
  }
}

function keysOf(secrets: string | readonly string[]): Buffer[] {
  const list = typeof secrets === 'string' ? [secrets] : Array.isArray(secrets) ? (secrets as readonly unknown[]) : []
  if (list.length === 0) throw new WebhookVerificationError('invalid_secret', 'Pass at least one secret.')
  return list.map((secret) => {
    const text = typeof secret === 'string' ? secret.replace(/^whsec_/, '') : ''
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
      throw new WebhookVerificationError('invalid_secret', 'A secret is `whsec_` and base64.')
    }
    const key = Buffer.from(text, 'base64')
    // A single character decodes to nothing, and anybody can sign with that.
    if (key.length === 0) throw new WebhookVerificationError('invalid_secret', 'A secret must not be empty.')
    return key
  })
}

function header(headers: ReceivedHeaders, name: string): string {
  const value = lookUp(headers, name)
  if (value === undefined || value === null || value === '') {
    throw new WebhookVerificationError('missing_header', `The header ${name} is missing.`)
  }
  if (typeof value !== 'string') {
    throw new WebhookVerificationError('malformed_header', `The header ${name} was sent more than once.`)
  }
  return value
}

function lookUp(headers: ReceivedHeaders, name: string): unknown {
  if (typeof headers.get === 'function') return headers.get(name)
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === name) return value
  return undefined
}

function checkTimestamp(
  header: string,
  { tolerance = defaultTolerance, now = systemClock.now() }: VerifyOptions,
): void {
  // Written so that NaN, infinity and nonsense fail instead of passing every comparison.
  if (!(Number.isFinite(tolerance) && tolerance > 0 && Number.isFinite(now))) {
    throw new WebhookVerificationError('invalid_option', '`tolerance` is a positive number of seconds, `now` a time.')
  }
  if (!/^\d{1,15}$/.test(header)) {
    throw new WebhookVerificationError('malformed_header', 'The header webhook-timestamp is not in seconds.')
  }
  const age = Math.floor(now / 1000) - Number(header)
  if (age > tolerance) throw new WebhookVerificationError('timestamp_too_old', `The message is ${age} s old.`)
  if (age < -tolerance) throw new WebhookVerificationError('timestamp_too_new', `The message is ${-age} s ahead.`)
}

/** Compares every candidate with every key, in constant time. Versions that we do not know are passed over. */
function anyMatches(header: string, expected: readonly Buffer[]): boolean {
  let matches = false
  for (const entry of header.split(' ')) {
    const [version, value = ''] = entry.split(',', 2)
    if (version !== 'v1') continue
    const given = Buffer.from(value, 'base64')
    for (const digest of expected) {
      if (given.length === digest.length && timingSafeEqual(given, digest)) matches = true
    }
  }
  return matches
}
