/** A key over HTTP: what a refusal tells the caller, and the headers that tell where a key stands. */
import type { MongoAbility } from '@casl/ability'
import type { Tx } from '@org/core'
import { rbacErrors } from '../errors.js'
import { callerOf } from './address.js'
import type { createFailures, RateLimitState } from './limits.js'
import { hashOf } from './secret.js'
import type { Verify } from './verify.js'

export interface AuthenticatedKey {
  tenantId: string
  actor: { type: 'key'; id: string }
  ability: MongoAbility
  responseHeaders: Record<string, string>
}

/**
 * Null for a secret that does not work, whatever the reason. @throws ProblemError `rate_limited` with `Retry-After` for a
 * key beyond its limit and for an address that failed too often; `ip_not_allowed`.
 */
export type Authenticate = (
  secret: string,
  from: { ip: string | undefined; tx: Tx | undefined },
) => Promise<AuthenticatedKey | null>

export function createAuthenticate(verify: Verify, failures: ReturnType<typeof createFailures>): Authenticate {
  return async (secret, { ip, tx }) => {
    const caller = callerOf(ip)
    const hash = hashOf(secret)
    const blockedFor = await failures.blockedFor(caller, hash)
    if (blockedFor > 0) {
      throw rbacErrors.rate_limited({
        detail: 'Too many attempts with keys that do not work came from this address.',
        headers: { 'retry-after': seconds(blockedFor) },
      })
    }
    const result = await verify(secret, { ip, tx })
    if (result.valid) {
      failures.worked(hash)
      const { tenantId, actor, ability, rateLimit } = result
      return { tenantId, actor, ability, responseHeaders: rateLimit ? headersOf(rateLimit) : {} }
    }
    if (result.code === 'rate_limited') {
      const headers = {
        ...(result.rateLimit && headersOf(result.rateLimit)),
        'retry-after': seconds(result.retryAfterMs ?? 0),
      }
      throw rbacErrors.rate_limited({ detail: 'The key was used more often than its limit allows.', headers })
    }
    if (result.code === 'ip_not_allowed') {
      throw rbacErrors.ip_not_allowed({ detail: 'The key may be used from other addresses only.' })
    }
    await failures.count(caller, hash)
    return null
  }
}

/**
 * The two fields of draft-ietf-httpapi-ratelimit-headers-10, and the three of its early versions (up to 02), which are
 * what most clients read. Seconds are rounded up: whoever waits so long may come again.
 */
export function headersOf({ limit, remaining, resetMs, windowMs }: RateLimitState): Record<string, string> {
  const reset = seconds(resetMs)
  return {
    'ratelimit-policy': `"key";q=${limit};w=${windowMs / 1000}`,
    ratelimit: `"key";r=${remaining};t=${reset}`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': reset,
  }
}

function seconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}
