/** Quotas as response headers. */

export interface Quota {
  meter: string
  limit: number
  remaining: number
  /** Epoch milliseconds. */
  resetsAt: number
  /** Null if it is not known; the policy then leaves the window's length out, as the draft allows. */
  windowStart: number | null
}

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and the three headers of the drafts
 * before it, which most clients read.
 */
export function rateLimitHeaders(quota: Quota, now: number): Record<string, string> {
  const { meter, limit, remaining, windowStart, resetsAt } = quota
  const reset = secondsUntil(resetsAt, now)
  const window = windowStart === null ? '' : `;w=${Math.round((resetsAt - windowStart) / 1000)}`
  return {
    'ratelimit-policy': `"${meter}";q=${limit}${window}`,
    ratelimit: `"${meter}";r=${remaining};t=${reset}`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(reset),
  }
}

export function secondsUntil(time: number, now: number): number {
  return Math.max(0, Math.ceil((time - now) / 1000))
}
