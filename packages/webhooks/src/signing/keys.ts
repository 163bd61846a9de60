/**
 * Keys as Standard Webhooks writes them: `whsec_` for HMAC, `whsk_` and `whpk_` for the two halves of an Ed25519 pair,
 * each followed by base64.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { coreErrors, type Random } from '@org/core'
import { decodeBase64 } from './base64.js'

export const secretPrefix = 'whsec_'
export const privateKeyPrefix = 'whsk_'
export const publicKeyPrefix = 'whpk_'

/** How long an imported secret may be, in bytes, by the specification. */
const minSecretBytes = 24
const maxSecretBytes = 64

/** What stands before the 32 bytes of a key in DER (RFC 8410 §4 and §7). */
const publicKeyHeader = Buffer.from('302a300506032b6570032100', 'hex')
const privateKeyHeader = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A new secret for HMAC-SHA256: `whsec_` and the base64 of 32 random bytes. */
export function createSecret(random: Pick<Random, 'bytes'>): string {
  return secretPrefix + base64(random.bytes(32))
}

/** Both halves of a new Ed25519 key: the private one signs and never leaves, the public one is for receivers. */
export function createSigningKey(random: Pick<Random, 'bytes'>): { privateKey: string; publicKey: string } {
  const seed = random.bytes(32)
  const bytes = publicBytes(importSeed(seed))
  // The seed and the public half, as libsodium and Svix write it.
  return {
    privateKey: privateKeyPrefix + base64(Buffer.concat([seed, bytes])),
    publicKey: publicKeyPrefix + base64(bytes),
  }
}

/** The `whpk_…` that verifies what this `whsk_…` signs. @throws ProblemError `setup_error` if it is none. */
export function publicKeyOf(privateKey: string): string {
  return publicKeyPrefix + base64(publicBytes(importPrivateKey(privateKey)))
}

/**
 * A secret that the receiver has already, in its one spelling: with its padding.
 *
 * @throws ProblemError `invalid_input` at `/secret` unless it is `whsec_` and the base64 of 24 to 64 bytes.
 */
export function parseSecret(text: string): string {
  const bytes = text.startsWith(secretPrefix) ? decodeBase64(text.slice(secretPrefix.length)) : null
  const size = bytes?.length ?? 0
  if (bytes && size >= minSecretBytes && size <= maxSecretBytes) return secretPrefix + base64(bytes)
  const found = bytes ? `; this one is of ${size}` : ''
  const detail = `must be whsec_ and the base64 of ${minSecretBytes} to ${maxSecretBytes} random bytes${found}`
  throw coreErrors.invalid_input({ errors: [{ pointer: '/secret', detail }] })
}

/** `whsk_` and the base64 of the 32-byte seed, with or without the 32 bytes of its public half. */
export function importPrivateKey(text: string): KeyObject {
  const bytes = text.startsWith(privateKeyPrefix) ? decodeBase64(text.slice(privateKeyPrefix.length)) : null
  if (bytes?.length === 32 || bytes?.length === 64) {
    const key = importSeed(bytes.subarray(0, 32))
    if (bytes.length === 32 || publicBytes(key).equals(bytes.subarray(32))) return key
  }
  throw coreErrors.setup_error({ detail: 'A private signing key is `whsk_` and the base64 of an Ed25519 key.' })
}

/** `whpk_` and the base64 of 32 bytes; null if it is anything else, or a placeholder. */
export function importPublicKey(text: string): KeyObject | null {
  const bytes = text.startsWith(publicKeyPrefix) ? decodeBase64(text.slice(publicKeyPrefix.length)) : null
  if (bytes?.length !== 32) return null
  // Zero and one, which a placeholder decodes to, are points of small order: anybody can sign for them.
  if (bytes.subarray(1).every((byte) => byte === 0)) return null
  return createPublicKey({ key: Buffer.concat([publicKeyHeader, bytes]), format: 'der', type: 'spki' })
}

function importSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([privateKeyHeader, seed]), format: 'der', type: 'pkcs8' })
}

function publicBytes(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(publicKeyHeader.length)
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
