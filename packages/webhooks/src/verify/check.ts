/** The check itself, with keys that were imported before. */
import { systemClock } from '@org/core'
import { WebhookVerificationError } from './error.js'
import { type ReceivedHeaders, signedHeaders } from './headers.js'
import type { VerificationKey } from './keys.js'

export interface VerifyOptions {
  /** How far the sender's clock may be from ours, in seconds either way: 300 unless told. It cannot be switched off. */
  tolerance?: number
  /** The present time in epoch milliseconds; the system's clock unless told. */
  now?: number
}

const defaultTolerance = 300

/** What was verified. */
export interface Verified {
  id: string
  /** When it was signed, in seconds since the epoch. */
  timestamp: number
  payload: unknown
}

/** @throws WebhookVerificationError */
export function checkWebhook(
  keys: readonly VerificationKey[],
  headers: ReceivedHeaders,
  rawBody: string | Uint8Array,
  options: VerifyOptions,
): Verified {
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array)) {
    throw new WebhookVerificationError(
      'invalid_body',
      'Pass the raw body, as a string or bytes, not what a parser made.',
    )
  }
  const body = Buffer.from(rawBody as string)
  const { id, timestamp, signature } = signedHeaders(headers)
  checkTimestamp(timestamp, options)
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  if (!anyMatches(signature, keys, content)) {
    throw new WebhookVerificationError('signature_mismatch', 'No signature matches; check the secret and the raw body.')
  }
  try {
    return { id, timestamp: Number(timestamp), payload: JSON.parse(body.toString()) as unknown }
  } catch {
    throw new WebhookVerificationError('malformed_payload', 'The body is not JSON.')
  }
}

/** @throws WebhookVerificationError `invalid_option` */
export function checkOptions({ tolerance = defaultTolerance, now = 0 }: VerifyOptions): void {
  // Written so that NaN, infinity and nonsense fail instead of passing every comparison.
  if (Number.isFinite(tolerance) && tolerance > 0 && Number.isFinite(now)) return
  throw new WebhookVerificationError('invalid_option', '`tolerance` is a positive number of seconds, `now` a time.')
}

function checkTimestamp(
  header: string,
  { tolerance = defaultTolerance, now = systemClock.now() }: VerifyOptions,
): void {
  checkOptions({ tolerance, now })
  if (!/^\d{1,15}$/.test(header)) {
    throw new WebhookVerificationError('malformed_header', 'The timestamp of the headers is not in seconds.')
  }
  const age = Math.floor(now / 1000) - Number(header)
  if (age > tolerance) throw new WebhookVerificationError('timestamp_too_old', `The message is ${age} s old.`)
  if (age < -tolerance) throw new WebhookVerificationError('timestamp_too_new', `The message is ${-age} s ahead.`)
}

/** A header holds a few signatures while secrets are rotated. The rest would only be work for us. */
const maxSignatures = 50

/** Tries every signature with every key of its version. Versions that we do not know are passed over. */
function anyMatches(header: string, keys: readonly VerificationKey[], content: Buffer): boolean {
  const checks = keys.map(({ version, over }) => ({ version, matches: over(content) }))
  return header
    .split(' ', maxSignatures)
    .some((entry) =>
      checks.some(
        ({ version, matches }) => entry.startsWith(`${version},`) && matches(entry.slice(version.length + 1)),
      ),
    )
}
