/** How an endpoint's signing secrets come to be and go, and what of it is sealed in the database. */
import { coreErrors, type Random } from '@org/core'
import type { Vault } from '../signing/encryption.js'
import { createSecret, createSigningKey, parseSecret } from '../signing/keys.js'
import type { SigningSecret, StoredEndpoint } from './schema.js'

/** How many secrets sign at the same time, at most. */
const maxSecrets = 10

export type SigningAlgorithm = 'hmac-sha256' | 'ed25519'

/** What binds a sealed value to the endpoint that it is of. */
export function vaultContext({ tenantId, id }: Pick<StoredEndpoint, 'tenantId' | 'id'>): string {
  return `${tenantId}/${id}`
}

/** A new secret as it is stored, and what the receiver verifies with. @throws ProblemError `invalid_input` at `/secret`. */
export function mintSecret(
  { signing, secret }: { signing: SigningAlgorithm; secret?: string | undefined },
  owner: Pick<StoredEndpoint, 'tenantId' | 'id'>,
  { vault, random }: { vault: Vault; random: Random },
): { stored: SigningSecret; shown: string } {
  const seal = (value: string) => vault.seal(value, vaultContext(owner))
  if (signing === 'ed25519') {
    if (secret !== undefined) {
      const detail = 'leave it out: the private key of an Ed25519 signature is made here and never leaves'
      throw coreErrors.invalid_input({ errors: [{ pointer: '/secret', detail }] })
    }
    const { privateKey, publicKey } = createSigningKey(random)
    return { stored: { value: seal(privateKey), publicKey, expiresAt: null }, shown: publicKey }
  }
  const value = secret === undefined ? createSecret(random) : parseSecret(secret)
  return { stored: { value: seal(value), expiresAt: null }, shown: value }
}

/** The new one first; the old ones go on signing until their overlap ends. */
export function rotated(old: SigningSecret[], fresh: SigningSecret, now: number, overlapMs: number): SigningSecret[] {
  const overlapping = old
    .map((secret) => ({
      ...secret,
      expiresAt: Math.min(secret.expiresAt ?? Number.POSITIVE_INFINITY, now + overlapMs),
    }))
    .filter(({ expiresAt }) => expiresAt > now)
  return [fresh, ...overlapping].slice(0, maxSecrets)
}

/** What the current secret signs with. */
export function signingOf({ secrets }: Pick<StoredEndpoint, 'secrets'>): SigningAlgorithm {
  return secrets[0]?.publicKey === undefined ? 'hmac-sha256' : 'ed25519'
}

/** The headers with those of the patch set or removed (RFC 7396), sealed. */
export function mergeHeaders(
  old: Record<string, string>,
  patch: Record<string, string | null>,
  owner: Pick<StoredEndpoint, 'tenantId' | 'id'>,
  vault: Vault,
): Record<string, string> {
  const merged = new Map(Object.entries(old))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name.toLowerCase())
    else merged.set(name.toLowerCase(), vault.seal(value, vaultContext(owner)))
  }
  if (merged.size > 20) {
    throw coreErrors.invalid_input({ errors: [{ pointer: '/headers', detail: 'at most 20 headers' }] })
  }
  return Object.fromEntries(merged)
}
