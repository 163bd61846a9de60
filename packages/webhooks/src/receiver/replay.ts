/** Remembers which webhooks were handled: senders deliver at least once, under the same id. */
import { type Clock, coreErrors, systemClock } from '@org/core'
import { boundedMap } from '../signing/bounded-map.js'

/**
 * - `claimed`: it is yours to handle;
 * - `in_progress`: somebody is at it;
 * - `handled`: it was handled before.
 */
export type Claim = 'claimed' | 'in_progress' | 'handled'

/**
 * Where a receiver notes the ids. With several processes, plug in a table or Redis that they share. One for each sender:
 * two of them may use the same id.
 */
export interface ReplayCache {
  /**
   * Notes that the webhook is being handled and answers `claimed`, in one step, unless it is noted already. Such a note
   * must lapse by itself, after longer than any handling takes: its process may die.
   */
  claim(id: string): Claim | Promise<Claim>
  /** It was handled. To be remembered for as long as senders retry, which is days. */
  complete(id: string): void | Promise<void>
  /** It was not handled: the next delivery is to be. */
  release(id: string): void | Promise<void>
}

export interface ReplayCacheOptions {
  /** How many webhooks are remembered, 100,000 unless told; those seen longest ago go first. */
  capacity?: number
  /** How long one that was handled is remembered, in milliseconds: 5 days unless told. */
  ttlMs?: number
  /** After how long one is handled again if its handler never ended, in milliseconds: 2 minutes unless told. */
  leaseMs?: number
  clock?: Clock
}

const day = 24 * 60 * 60 * 1000

/** In the memory of this process. @throws ProblemError `setup_error` for numbers that cannot work. */
export function replayCache(options: ReplayCacheOptions = {}): ReplayCache {
  const { capacity = 100_000, ttlMs = 5 * day, leaseMs = 2 * 60 * 1000, clock = systemClock } = options
  for (const [name, value] of Object.entries({ capacity, ttlMs, leaseMs })) {
    if (!(Number.isFinite(value) && value >= 1)) {
      throw coreErrors.setup_error({ detail: `\`${name}\` of the replay cache must be a number of at least 1.` })
    }
  }
  const seen = boundedMap<string, { claim: Exclude<Claim, 'claimed'>; until: number }>(capacity)

  return {
    claim(id) {
      const now = clock.now()
      const known = seen.get(id)
      if (known && known.until > now) return known.claim
      seen.set(id, { claim: 'in_progress', until: now + leaseMs })
      return 'claimed'
    },
    complete: (id) => seen.set(id, { claim: 'handled', until: clock.now() + ttlMs }),
    release(id) {
      // Whoever took over from a handler that was too slow may have ended before it.
      if (seen.get(id)?.claim === 'in_progress') seen.delete(id)
    },
  }
}
