/** Puts the keys together. */
import { coreErrors } from '@org/core'
import type { Deps } from '../deps.js'
import { type Authenticate, createAuthenticate } from './authenticate.js'
import { createFailures, createKeyLimits, type MakeRateLimiter, memoryLimiter, type RateLimiter } from './limits.js'
import { RateLimit } from './schema.js'
import { checkPrefix } from './secret.js'
import { createKeys, type KeyManagement } from './service.js'
import { createUsage } from './usage.js'
import { createVerify, type Verify } from './verify.js'
import { createKeyWriter, type KeyWriter } from './writer.js'

export interface KeyOptions {
  /** What secrets begin with, for people and secret scanners to know them by, as in `gw_live`; `ak` unless told. */
  prefix?: string
  /** Where requests are counted; in each process for itself unless told. */
  rateLimiter?: MakeRateLimiter
  /** How often one address may send keys that do not work; 30 times a minute unless told. */
  failedAttempts?: RateLimit
}

export interface Keys<P extends string = string> extends KeyManagement<P> {
  /**
   * Whether a secret works, whose it is and what it may do. Never throws for a bad one; what it says about why is for
   * the host's log. Asks the database once, by the hash, so that a revoked key is refused from then on; the rights come
   * from the cache. Counts the request against the key's rate limit.
   */
  readonly verify: Verify
  /** Writes down when keys were last used, and waits for what is under way. For shutdown; else it happens by itself. */
  flush(): Promise<void>
}

const defaultFailures: RateLimit = { limit: 30, windowMs: 60_000 }

/** @throws ProblemError `setup_error` for options that cannot be. */
export function createKeyModule(
  deps: Deps,
  options: KeyOptions = {},
): { keys: Keys; keyWriter: KeyWriter; authenticate: Authenticate } {
  const { prefix = 'ak', rateLimiter = memoryLimiter, failedAttempts = defaultFailures } = options
  checkPrefix(prefix)
  if (!RateLimit.safeParse(failedAttempts).success) {
    throw coreErrors.setup_error({ detail: '`keys.failedAttempts` must be { limit, windowMs }, in whole seconds.' })
  }
  const { logger } = deps.runtime
  const make = checked(rateLimiter)
  const keyWriter = createKeyWriter(deps)
  const usage = createUsage(deps)
  const verify = createVerify(deps, createKeyLimits(make, logger), usage)
  const failures = createFailures(make, failedAttempts, logger)
  return {
    keys: { ...createKeys(deps, keyWriter, prefix), verify, flush: usage.flush },
    keyWriter,
    authenticate: createAuthenticate(verify, failures, logger),
  }
}

/** What cannot count would be taken for a store that is away, and limit nobody. */
function checked(make: MakeRateLimiter): MakeRateLimiter {
  return (options) => {
    const limiter: Partial<RateLimiter> | undefined = make(options)
    if (typeof limiter?.consume === 'function' && typeof limiter.get === 'function') return limiter as RateLimiter
    throw coreErrors.setup_error({
      detail: '`keys.rateLimiter` must answer a limiter of `rate-limiter-flexible`, at once.',
    })
  }
}
