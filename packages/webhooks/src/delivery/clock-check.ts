/** Tells the host of a clock that is out of step with the database's, which all its workers share. */
import { type Clock, type Logger, systemClock } from '@org/core'
import type { WebhooksStorage } from '../storage/port.js'

/** In milliseconds. What workers may differ by among themselves without harm is some times as much. */
const tolerated = 5_000

/** Looks once. A clock that the host has made is its own affair, and so is a database that does not answer. */
export async function checkClock(storage: WebhooksStorage, clock: Clock, logger: Logger): Promise<void> {
  if (clock.now !== systemClock.now || !storage.now) return
  try {
    const before = clock.now()
    const theirs = await storage.now()
    if (theirs === null) return
    const aheadMs = Math.round((before + clock.now()) / 2 - theirs)
    if (Math.abs(aheadMs) < tolerated) return
    logger.warn('The clock of this process differs from that of the database: leases of workers depend on it', {
      aheadMs,
    })
  } catch {
    // The worker's own loops say so.
  }
}
