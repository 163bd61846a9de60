import { coreErrors } from '@org/core'
import { z } from 'zod'
import type { CacheBus } from './bus.js'

export interface CacheOptions {
  /**
   * How old an answer may be, in milliseconds: a change that another process committed longer ago than this counts. 1000
   * unless told. A change of this process counts from the next question on.
   */
  maxStaleMs?: number
  /** Asks the database at each check whether anything changed: no answer is old. Off unless told. */
  strict?: boolean
  /** How many actors are remembered, over all tenants; 10,000 unless told. Those not asked about for long go first. */
  maxEntries?: number
  /**
   * Brings changes of other processes sooner than `maxStaleMs`; nothing depends on it. `postgresBus` of '@org/rbac/knex',
   * `redisBus` of '@org/rbac/redis', started by `rbac.startCacheSync()`.
   */
  bus?: CacheBus
}

export interface CacheSettings {
  maxStaleMs: number
  strict: boolean
  maxEntries: number
  bus: CacheBus | undefined
}

const Checked = z.object({
  maxStaleMs: z.number().min(0).max(3_600_000).default(1000),
  strict: z.boolean().default(false),
  maxEntries: z.int().min(1).default(10_000),
})

/** @throws ProblemError `setup_error` for what is none of these. */
export function cacheSettings(options: CacheOptions = {}): CacheSettings {
  const { bus, ...given } = options
  const parsed = Checked.safeParse(given)
  if (!parsed.success) {
    throw coreErrors.setup_error({ detail: `createRbac({ cache }): ${z.prettifyError(parsed.error)}` })
  }
  const { maxStaleMs, strict, maxEntries } = parsed.data
  return { maxStaleMs, strict: strict || maxStaleMs === 0, maxEntries, bus }
}
