/** Signatures of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`. */
import { createHmac } from 'node:crypto'

const prefix = 'whsec_'

/** A new signing secret: `whsec_` and the base64 of 32 random bytes. */
export function createSecret(random: { bytes(size: number): Uint8Array }): string {
  return prefix + Buffer.from(random.bytes(32)).toString('base64')
}

export interface SignedContent {
  id: string
  /** Seconds since the epoch. */
  timestamp: number
  body: string
}

/** The three headers. One signature for each secret, the current one first, so that receivers may rotate at leisure. */
export function signatureHeaders(content: SignedContent, secrets: readonly string[]): Record<string, string> {
  return {
    'webhook-id': content.id,
    'webhook-timestamp': String(content.timestamp),
    'webhook-signature': secrets.map((secret) => `v1,${signature(content, secret)}`).join(' '),
  }
}

function signature({ id, timestamp, body }: SignedContent, secret: string): string {
  const key = Buffer.from(secret.slice(prefix.length), 'base64')
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
}
