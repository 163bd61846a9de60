/** Quotas as response headers. */
import type { UsageRecord } from '../usage/schema.js'
import { secondsUntil } from './refusal.js'

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and the three headers of the drafts
 * before it, which most clients read. None for a meter that refuses nothing: a client would stop for no reason.
 */
export function rateLimitHeaders(
  { meter, limit, remaining, enforced, windowStart, resetsAt }: Omit<UsageRecord, 'eventId' | 'duplicate' | 'used'>,
  now: number,
): Record<string, string> {
  if (!enforced || limit === null || remaining === null) return {}
  const reset = secondsUntil(resetsAt, now)
  const window = Math.round((resetsAt - windowStart) / 1000)
  return {
    'ratelimit-policy': `"${meter}";q=${limit};w=${window}`,
    ratelimit: `"${meter}";r=${remaining};t=${reset}`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(reset),
  }
}
