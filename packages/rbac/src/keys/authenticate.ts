/** A key over HTTP: what a refusal tells the caller, and the headers that tell where a key stands. */
import type { MongoAbility } from '@casl/ability'
import type { Logger, RequestInfo, Tx } from '@org/core'
import type { OnDenied } from '../audit/denied.js'
import { rbacErrors } from '../errors.js'
import { callerOf } from './ip.js'
import type { createFailures, RateLimitState } from './limits.js'
import { hashOf } from './secret.js'
import type { Verify } from './verify.js'

export interface AuthenticatedKey {
  tenantId: string
  actor: { type: 'key'; id: string }
  ability: MongoAbility
  responseHeaders: Record<string, string>
}

/** The request that the secret came with. */
type From = RequestInfo & { tx: Tx | undefined }

/**
 * Null for a secret that does not work, whatever the reason. A key that did once is in the audit log when it is tried
 * again, as is one from a wrong address.
 *
 * @throws ProblemError `rate_limited` with `Retry-After` for a key beyond its limit and for an address that failed too
 *   often; `ip_not_allowed`.
 */
export type Authenticate = (secret: string, from: From, onDenied: OnDenied) => Promise<AuthenticatedKey | null>

export function createAuthenticate(
  verify: Verify,
  failures: ReturnType<typeof createFailures>,
  logger: Logger,
): Authenticate {
  return async (secret, from, onDenied) => {
    const { ip, tx } = from
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
    const { code, keyId, tenantId } = result
    if (code === 'rate_limited') {
      const headers = {
        ...(result.rateLimit && headersOf(result.rateLimit)),
        'retry-after': seconds(result.retryAfterMs ?? 0),
      }
      throw rbacErrors.rate_limited({ detail: 'The key was used more often than its limit allows.', headers })
    }
    if (keyId !== undefined && tenantId !== undefined) {
      const who = { ...from, tenantId, actor: { type: 'key' as const, id: keyId } }
      await onDenied(who, { code, detail: refusals[code] }).catch((error: unknown) => {
        logger.error('A refused attempt could not be noted', { keyId, error })
      })
    }
    if (code === 'ip_not_allowed') throw rbacErrors.ip_not_allowed({ detail: refusals[code] })
    await failures.count(caller, hash)
    return null
  }
}

const refusals = {
  unknown: 'There is no such key.',
  revoked: 'The key is revoked.',
  expired: 'The key, or this secret of it, has expired.',
  ip_not_allowed: 'The key may be used from other addresses only.',
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
