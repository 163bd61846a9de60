/**
 * What the engine knows of an endpoint, and what it concludes from that: a circuit breaker that opens after ten failures
 * in a row and then lets single attempts through, a rate limit, and since when it has been failing.
 */
import type { StoredEndpoint } from './schema.js'
import type { Health } from './store.js'

/** How many failures in a row open the circuit. */
const failuresToOpen = 10

/** How long it stays open at first, and at the most: twice as long each time that the attempt let through fails. */
const firstOpenMs = 30_000
const longestOpenMs = 10 * 60_000

/** How long an endpoint may fail without one success before it is disabled: five days. */
export const maxFailingMs = 5 * 24 * 60 * 60 * 1000

/** An endpoint that nothing was sent to yet. */
export function healthy({ id, tenantId }: Pick<StoredEndpoint, 'id' | 'tenantId'>): Health {
  return { endpointId: id, tenantId, failures: 0, failingSince: null, openUntil: null, opened: 0, bucketAt: 0 }
}

/** What came of some attempts. */
export interface Tally {
  failed: number
  succeeded: number
  /** Whether one of those that failed was let through an open circuit. */
  probeFailed: boolean
}

export function afterAttempts(health: Health, { failed, succeeded, probeFailed }: Tally, now: number): Health {
  if (succeeded > 0) return { ...health, failures: 0, failingSince: null, openUntil: null, opened: 0 }
  const failures = health.failures + failed
  const next = { ...health, failures, failingSince: health.failingSince ?? now }
  // What was under way when the circuit opened says nothing new.
  const opens = health.openUntil === null ? failures >= failuresToOpen : probeFailed
  if (!opens) return next
  const openMs = Math.min(firstOpenMs * 2 ** health.opened, longestOpenMs)
  return { ...next, openUntil: now + openMs, opened: health.opened + 1 }
}

/** How many attempts may begin now, and when the next one may if none does. */
export interface Room {
  room: number
  /** Whether the one attempt is let through an open circuit. */
  probe: boolean
  until: number
}

/** What an endpoint's circuit, its rate limit and what it has in flight leave of `wanted`. */
export function roomOf(
  { rateLimit, maxInFlight }: Pick<StoredEndpoint, 'rateLimit' | 'maxInFlight'>,
  { openUntil, bucketAt }: Health,
  inFlight: number,
  wanted: number,
  now: number,
): Room {
  if (openUntil !== null && openUntil > now) return { room: 0, probe: false, until: openUntil }
  let room = openUntil === null ? wanted : 1
  let until = now
  if (maxInFlight !== null) room = Math.min(room, Math.max(0, maxInFlight - inFlight))
  if (rateLimit !== null) {
    const { periodMs } = rateLimit
    const { burst, perPeriod } = pace(rateLimit)
    const taken = Math.max(bucketAt, now) - now
    const tokens = Math.floor(burst - (taken * perPeriod) / periodMs)
    if (tokens <= 0) until = now + Math.ceil(taken - ((burst - 1) * periodMs) / perPeriod)
    room = Math.min(room, Math.max(0, tokens))
  }
  return { room, probe: openUntil !== null, until }
}

/**
 * How many may go at once, and how many tokens flow back in a period: together no more than `limit` in any period,
 * wherever it begins, which a receiver that counts may hold us to. A tenth at once, so that nine tenths are left for the
 * long run.
 */
function pace({ limit }: NonNullable<StoredEndpoint['rateLimit']>): { burst: number; perPeriod: number } {
  const burst = Math.ceil(limit / 10)
  return { burst, perPeriod: limit - burst + 1 }
}

/** The bucket after so many attempts were taken from it: the generic cell rate algorithm (ITU-T I.371). */
export function bucketAfter(
  rateLimit: StoredEndpoint['rateLimit'],
  bucketAt: number,
  taken: number,
  now: number,
): number {
  if (rateLimit === null) return bucketAt
  return Math.ceil(Math.max(bucketAt, now) + (taken * rateLimit.periodMs) / pace(rateLimit).perPeriod)
}
