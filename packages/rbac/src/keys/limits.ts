/** Counters in windows of time: how often a key was used, and how often a caller failed. */
import type { Logger } from '@org/core'
import { type RateLimiterAbstract, RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import type { RateLimit } from './schema.js'

/** The part of `rate-limiter-flexible`'s limiters that is used; every one of them fits. */
export type RateLimiter = Pick<RateLimiterAbstract, 'consume' | 'get'>

/**
 * Makes a limiter where counters are kept: `(options) => new RateLimiterRedis({ ...options, storeClient,
 * rejectIfRedisNotReady: true })`. In the memory of the process unless told, where each process counts for itself.
 */
export type MakeRateLimiter = (options: {
  keyPrefix: string
  points: number
  /** Seconds. */
  duration: number
}) => RateLimiter

export const memoryLimiter: MakeRateLimiter = (options) => new RateLimiterMemory(options)

/** How long a request waits for a counter, in milliseconds. */
const patience = 500

/** Where a key stands in its window. */
export interface RateLimitState extends RateLimit {
  /** How many requests are left in this window. */
  remaining: number
  /** Milliseconds until the window ends and all of them are there again. */
  resetMs: number
}

export interface Counted {
  state: RateLimitState
  exceeded: boolean
  /** Whether this is the first request beyond the limit in this window, in whatever process. */
  first: boolean
}

/**
 * Counts in windows that begin with a first request and end on time, whatever comes in between: steady traffic never
 * holds one open. A store that cannot be reached, or does not answer in time, refuses nobody, and the logger is told:
 * who may do what does not depend on it.
 */
export function createKeyLimits(make: MakeRateLimiter, logger: Logger) {
  // Each key has a limit of its own, so that the counting is the limiter's and the comparing is ours.
  const limiter = make({ keyPrefix: 'rbac_key', points: Number.MAX_SAFE_INTEGER, duration: 1 })
  return {
    /** Null if it could not be counted. */
    async count(keyId: string, { limit, windowMs }: RateLimit): Promise<Counted | null> {
      try {
        const duration = windowMs / 1000
        let refused = false
        const consuming = limiter.consume(`${keyId}:${duration}`, 1, { customDuration: duration })
        const { consumedPoints, msBeforeNext } = await inTime(consuming).catch((error: unknown) => {
          // A limiter of the host's may have bounds of its own, or block in memory.
          if (!isResult(error)) throw error
          refused = true
          return error
        })
        const remaining = refused ? 0 : Math.max(0, limit - consumedPoints)
        const state = { limit, windowMs, remaining, resetMs: Math.max(0, msBeforeNext) }
        return { state, exceeded: refused || consumedPoints > limit, first: consumedPoints === limit + 1 }
      } catch (error) {
        logger.error('@org/rbac: the requests of an API key could not be counted', { keyId, error })
        return null
      }
    },
  }
}

/** How many callers with good secrets are remembered. */
const maxKnown = 10_000

/** Who tried secrets that do not work, by address. */
export function createFailures(make: MakeRateLimiter, { limit, windowMs }: RateLimit, logger: Logger) {
  const limiter = make({ keyPrefix: 'rbac_failed', points: limit, duration: windowMs / 1000 })
  const known = new Set<string>()
  const failed = (error: unknown) => {
    logger.error('@org/rbac: failed attempts with API keys could not be counted', { error })
  }
  return {
    /**
     * Milliseconds until an address may try again; 0 if it may now. A secret that has worked here before may: one client
     * with an old key must not lock out all others behind its address, and whoever guesses has none that worked.
     */
    async blockedFor(caller: string, hash: string): Promise<number> {
      if (known.has(hash)) return 0
      try {
        const found = await inTime(limiter.get(caller))
        return found && found.consumedPoints >= limit ? Math.max(0, found.msBeforeNext) : 0
      } catch (error) {
        failed(error)
        return 0
      }
    },
    async count(caller: string, hash: string): Promise<void> {
      known.delete(hash)
      try {
        await inTime(limiter.consume(caller, 1))
      } catch (error) {
        if (!isResult(error)) failed(error)
      }
    },
    worked(hash: string): void {
      known.delete(hash)
      known.add(hash)
      if (known.size <= maxKnown) return
      const [oldest] = known
      if (oldest !== undefined) known.delete(oldest)
    },
  }
}

/** Rejects if the store does not answer: clients of Redis may keep what is asked until it is back. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The library rejects with its result when the points are used up, and with an Error when its store fails. */
function isResult(error: unknown): error is RateLimiterRes {
  return typeof error === 'object' && error !== null && !(error instanceof Error) && 'msBeforeNext' in error
}
