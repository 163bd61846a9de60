/** Which window a use is counted in. Pure. */
import { coreErrors } from '@org/core'
import type { z } from 'zod'
import type { Deps } from '../deps.js'
import type { Subscription } from '../subscriptions/schema.js'
import { type Standing, standingAt } from '../subscriptions/standing.js'
import type { RecordUsage, UsageEvent } from './schema.js'

export interface Placed {
  event: UsageEvent
  standing: Standing
}

/** How far the clocks of two machines may be apart. */
const clockSkew = 5 * 60 * 1000

/** @throws ProblemError `invalid_input` for a time that is to come, or whose window has been billed. */
export function place(
  deps: Pick<Deps, 'catalog' | 'runtime' | 'gracePeriodMs'>,
  subscription: Subscription | null,
  input: z.output<typeof RecordUsage>,
): Placed {
  const { catalog, gracePeriodMs } = deps
  const now = deps.runtime.clock.now()
  const standing = (at: number) => standingAt(catalog, subscription, at, gracePeriodMs)
  // What is billed by the period is open since the period began, also when its renewal is overdue.
  const billed = subscription !== null && subscription.status !== 'incomplete'
  const openSince = billed ? Math.min(subscription.currentPeriodStart, now) : standing(now).window.start
  const { tenantId, meter, quantity, time = now } = input
  if (time > now + clockSkew) throw wrongTime('it is in the future')
  if (time < openSince) {
    throw wrongTime(`its window has been billed; the open one began at ${new Date(openSince).toISOString()}`)
  }
  // A clock that is behind the one that renewed must not count into a window that is over.
  const found = standing(billed ? Math.max(time, subscription.currentPeriodStart) : time)
  const id = deps.runtime.id('use')
  const { holder, window } = found
  const counted = { holder, windowStart: window.start, createdAt: now }
  return {
    standing: found,
    event: { id, tenantId, meter, quantity, idempotencyKey: input.idempotencyKey ?? id, time, ...counted },
  }
}

/** The caller named a time in a window that was closed while it was recorded. */
export function wrongTime(why: string) {
  return coreErrors.invalid_input({ errors: [{ pointer: '/time', detail: `cannot be counted: ${why}` }] })
}
