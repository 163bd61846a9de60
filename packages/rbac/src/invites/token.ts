/** What makes an invite its holder's. Only its hash is kept. */
import { createHash } from 'node:crypto'
import type { Random } from '@org/core'

/**
 * 256 random bits, so that nobody guesses one however often they ask, and their hash needs no salt. The prefix is for
 * scanners that look for secrets in the wrong places.
 */
export function createToken(random: Random): string {
  return `invtok_${Buffer.from(random.bytes(32)).toString('base64url')}`
}

/** SHA-256 in hex. Invites are looked up by it, which tells nothing by how long it takes. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
