/**
 * Checkpoints: now and then, a signed word on all entries since the last one. Kept outside of the database by `anchor`,
 * they show what a chain alone cannot: that its end was cut off, or that all of it was written anew.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { coreErrors } from '@org/core'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { sha256 } from './canonical.js'

/** As it is handed to `anchor`, and given back to `verify`. */
export const AuditCheckpoint = z.object({
  tenantId: z.string(),
  /** The first and the last entry that it covers. */
  fromSeq: z.number().int(),
  toSeq: z.number().int(),
  count: z.number().int(),
  /** The Merkle root (RFC 6962) over the entries' hashes, in hex. */
  root: z.string(),
  /** The chain's hash at `toSeq`. */
  headHash: z.string(),
  /** The hash of the checkpoint before; null for the first. */
  previousHash: z.string().nullable(),
  /** Epoch milliseconds. */
  time: z.number().int(),
  /** SHA-256, in hex, of the canonical text (RFC 8785) of all fields but `hash` and `signature`. */
  hash: z.string(),
  /** Which key signed that text: the start of its fingerprint; null without a key. */
  keyId: z.string().nullable(),
  /** Base64url. */
  signature: z.string().nullable(),
})
export type AuditCheckpoint = z.infer<typeof AuditCheckpoint>

/**
 * What checkpoints are signed with: an Ed25519 private key (PEM or a KeyObject), which others can check with the public
 * one, or a secret of at least 32 bytes for HMAC-SHA-256.
 */
export type AuditKey = { ed25519: string | KeyObject } | { hmac: string | Uint8Array }

type Unsigned = Omit<AuditCheckpoint, 'hash' | 'signature'>

export interface Signer {
  readonly keyId: string | null
  sign(checkpoint: Omit<Unsigned, 'keyId'>): AuditCheckpoint
  /** What is wrong with a checkpoint by itself; null if nothing is. */
  flaw(checkpoint: AuditCheckpoint): string | null
}

interface Key {
  id: string
  sign?: (text: Buffer) => Buffer
  verify: (text: Buffer, signature: Buffer) => boolean
}

/**
 * Signs with `key`, and believes it and the `older` ones, of which public keys are enough.
 *
 * @throws ProblemError `setup_error` for what is no such key.
 */
export function createSigner(key: AuditKey | undefined, older: readonly AuditKey[] = []): Signer {
  const own = key && keyOf(key)
  if (own && !own.sign) throw unusable('`audit.signingKey.ed25519` must be a private key.')
  const known = [...(own ? [own] : []), ...older.map(keyOf)]
  return {
    keyId: own?.id ?? null,
    sign(checkpoint) {
      const unsigned: Unsigned = { ...checkpoint, keyId: own?.id ?? null }
      const text = textOf(unsigned)
      const signature = own?.sign?.(Buffer.from(text)).toString('base64url') ?? null
      return { ...unsigned, hash: sha256(text), signature }
    },
    flaw({ hash, signature, ...unsigned }) {
      const text = textOf(unsigned)
      if (sha256(text) !== hash) return 'its fields do not fit its hash'
      if (unsigned.keyId === null) return signature === null ? null : 'it has a signature and names no key'
      const signer = known.find(({ id }) => id === unsigned.keyId)
      if (!signer) return `it is signed with the key ${unsigned.keyId}, which is not among those given`
      const valid = signature !== null && signer.verify(Buffer.from(text), Buffer.from(signature, 'base64url'))
      return valid ? null : 'its signature is not valid'
    },
  }
}

function textOf({ tenantId, fromSeq, toSeq, count, root, headHash, previousHash, time, keyId }: Unsigned): string {
  const bound = { v: 1, tenantId, fromSeq, toSeq, count, root, headHash, previousHash, time, keyId }
  return canonicalize(bound) as string
}

function keyOf(key: AuditKey): Key {
  if ('hmac' in key) return hmacKey(Buffer.from(key.hmac as string))
  return ed25519Key(key.ed25519)
}

const minSecret = 32

function hmacKey(secret: Buffer): Key {
  if (secret.length < minSecret) throw unusable(`An HMAC key must have at least ${minSecret} bytes.`)
  const mac = (text: Buffer | string) => createHmac('sha256', secret).update(text).digest()
  return {
    id: mac('key id').toString('hex').slice(0, 16),
    sign: mac,
    verify: (text, signature) => signature.length === 32 && timingSafeEqual(mac(text), signature),
  }
}

function ed25519Key(key: string | KeyObject): Key {
  try {
    const given =
      key instanceof KeyObject ? key : /PRIVATE KEY/.test(key) ? createPrivateKey(key) : createPublicKey(key)
    const open = given.type === 'private' ? createPublicKey(given) : given
    if (open.asymmetricKeyType !== 'ed25519') throw new Error(`is of type ${open.asymmetricKeyType ?? open.type}`)
    const fingerprint = createHash('sha256')
      .update(open.export({ type: 'spki', format: 'der' }))
      .digest('hex')
    return {
      id: fingerprint.slice(0, 16),
      ...(given.type === 'private' && { sign: (text: Buffer) => sign(null, text, given) }),
      verify: (text, signature) => verify(null, text, open, signature),
    }
  } catch (cause) {
    throw unusable('An Ed25519 key must be PEM text or a KeyObject of that type.', cause)
  }
}

function unusable(detail: string, cause?: unknown) {
  return coreErrors.setup_error({ detail, cause })
}
