/** What a receiver verifies with: secrets of HMAC (`v1`) and public keys of Ed25519 (`v1a`). */
import { createHmac, timingSafeEqual, verify } from 'node:crypto'
import { decodeBase64 } from '../signing/base64.js'
import { importPublicKey, privateKeyPrefix, publicKeyPrefix } from '../signing/keys.js'
import { WebhookVerificationError } from './error.js'

/** A key, which stands for one algorithm: a public key never serves as a secret that everybody knows. */
export interface VerificationKey {
  /** Of the signatures that it can verify. */
  version: 'v1' | 'v1a'
  /** Answers how to check a base64 signature of this content. */
  over(content: Buffer): (signature: string) => boolean
}

/** @throws WebhookVerificationError `invalid_secret` */
export function verificationKeys(secrets: string | readonly string[]): VerificationKey[] {
  const list = typeof secrets === 'string' ? [secrets] : Array.isArray(secrets) ? (secrets as readonly unknown[]) : []
  if (list.length === 0) throw invalid('Pass at least one secret.')
  return list.map((secret) => {
    const text = typeof secret === 'string' ? secret : ''
    if (text.startsWith(privateKeyPrefix)) {
      throw invalid('This is the private key of the sender: verify with its public half, `whpk_…`.')
    }
    return text.startsWith(publicKeyPrefix) ? publicKey(text) : hmacKey(text)
  })
}

function hmacKey(secret: string): VerificationKey {
  const text = secret.replace(/^whsec_/, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw invalid('A secret is `whsec_` and base64, or a public key: `whpk_` and the base64 of 32 bytes.')
  }
  const key = Buffer.from(text, 'base64')
  // A single character decodes to nothing, and anybody can sign with that.
  if (key.length === 0) throw invalid('A secret must not be empty.')
  return {
    version: 'v1',
    over(content) {
      // Text against text, so that there is one spelling only of each signature.
      const expected = Buffer.from(createHmac('sha256', key).update(content).digest('base64'))
      return (signature) => {
        const given = Buffer.from(signature)
        return given.length === expected.length && timingSafeEqual(given, expected)
      }
    },
  }
}

function publicKey(text: string): VerificationKey {
  const key = importPublicKey(text)
  if (!key) throw invalid('A public key is `whpk_` and the base64 of 32 bytes.')
  return {
    version: 'v1a',
    over: (content) => (signature) => {
      const bytes = decodeBase64(signature)
      return bytes?.length === 64 && signature.endsWith('==') && verify(null, content, key, bytes)
    },
  }
}

function invalid(message: string): WebhookVerificationError {
  return new WebhookVerificationError('invalid_secret', message)
}
