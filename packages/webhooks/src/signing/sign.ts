/** Signatures of Standard Webhooks (https://www.standardwebhooks.com), over `id.timestamp.body`. */
import { createHmac, sign } from 'node:crypto'
import { coreErrors } from '@org/core'
import { decodeBase64 } from './base64.js'
import { boundedMap } from './bounded-map.js'
import { importPrivateKey, privateKeyPrefix, secretPrefix } from './keys.js'

export interface SignedContent {
  id: string
  /** Seconds since the epoch. */
  timestamp: number
  body: string
}

export interface Signer {
  /**
   * The three headers. One signature for each secret, the current one first, so that receivers may rotate at leisure:
   * `v1` with HMAC-SHA256 for a `whsec_…`, `v1a` with Ed25519 for a `whsk_…`.
   *
   * @throws ProblemError `setup_error` for what is no secret, and for none at all: nothing is sent unsigned.
   */
  signatureHeaders(content: SignedContent, secrets: readonly string[]): Record<string, string>
}

/** How many keys stay imported. A secret in use is asked for again with every delivery. */
const cachedKeys = 10_000

/** Imports each secret once, which for Ed25519 takes as long as the signature. */
export function createSigner(): Signer {
  const signatures = boundedMap<string, (text: string) => string>(cachedKeys)

  function signatureWith(secret: string, text: string): string {
    let signature = signatures.get(secret)
    if (!signature) {
      signature = signatureBy(secret)
      signatures.set(secret, signature)
    }
    return signature(text)
  }

  return {
    signatureHeaders({ id, timestamp, body }, secrets) {
      if (secrets.length === 0) throw coreErrors.setup_error({ detail: 'There is no secret to sign with.' })
      const text = `${id}.${timestamp}.${body}`
      return {
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': secrets.map((secret) => signatureWith(secret, text)).join(' '),
      }
    },
  }
}

function signatureBy(secret: string): (text: string) => string {
  if (secret.startsWith(privateKeyPrefix)) {
    const key = importPrivateKey(secret)
    return (text) => `v1a,${sign(null, Buffer.from(text), key).toString('base64')}`
  }
  const key = secret.startsWith(secretPrefix) ? decodeBase64(secret.slice(secretPrefix.length)) : null
  // Anybody can sign with an empty key.
  if (!key?.length) throw coreErrors.setup_error({ detail: 'A signing secret is `whsec_…` or `whsk_…`, then base64.' })
  return (text) => `v1,${createHmac('sha256', key).update(text).digest('base64')}`
}
