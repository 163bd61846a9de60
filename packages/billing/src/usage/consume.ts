/** Counting within the limit, in the transaction that the use is recorded in. */
import type { ProblemError, Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { refusal } from '../entitlements/refusal.js'
import { meterOf, termsOf } from '../entitlements/service.js'
import type { BillingStores } from '../storage/port.js'
import type { Standing } from '../subscriptions/standing.js'
import { noticesDue } from './notices.js'
import type { Counter, CounterKey, UsageRecord } from './schema.js'

/** A counter, and the standing that limits it. */
export interface Target {
  key: CounterKey
  standing: Standing
}

/** The quota does not cover it. Carries where, so that it can be noted once nothing else is kept. */
export class Refused extends Error {
  constructor(
    readonly problem: ProblemError,
    readonly target: Target,
    /** Whether `quota.exceeded` is still to be said. */
    readonly untold: boolean,
  ) {
    super(problem.message)
  }
}

/** The window was billed between being looked up and being counted in. */
export class WindowClosed extends Error {}

/**
 * Takes `quantity` in one atomic step, and emits what is due in the same transaction.
 *
 * @throws Refused, WindowClosed, or a ProblemError if the plan does not have the meter.
 */
export async function consume(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  target: Target,
  quantity: number,
  tx: Tx,
): Promise<Omit<UsageRecord, 'eventId' | 'duplicate'>> {
  const { key, standing } = target
  const now = deps.runtime.clock.now()
  const terms = termsOf(standing, key.meter)
  if (!terms || standing.paymentDue) {
    throw refusal(deps.catalog, meterOf(standing, key.meter, 0, quantity), quantity, now)
  }
  const limit = terms.included[standing.interval]
  const counter = await stores.usage.consume(key, quantity, terms.limit === 'hard' ? limit : null)
  if (!counter) {
    const full = await stores.usage.lockCounter(key)
    if (full.closed) throw new WindowClosed()
    const problem = refusal(deps.catalog, meterOf(standing, key.meter, full.used, quantity), quantity, now)
    throw new Refused(problem, target, noticesDue(full, terms, limit, true) !== null)
  }
  await announce(deps, stores, scope, target, counter, false, tx)
  return recordOf(target, counter)
}

/** How a counter stands, as `usage.record` answers it. */
export function recordOf(
  { key, standing }: Target,
  counter: Pick<Counter, 'used'>,
): Omit<UsageRecord, 'eventId' | 'duplicate'> {
  const { used, limit, remaining } = meterOf(standing, key.meter, counter.used, 0)
  const enforced = termsOf(standing, key.meter)?.limit === 'hard'
  const { start: windowStart, end: resetsAt } = standing.window
  return { meter: key.meter, used: used ?? 0, limit, remaining, enforced, windowStart, resetsAt }
}

/** Emits what the counter's new state gives cause to. The counter is locked by the caller's transaction. */
export async function announce(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  { key, standing }: Target,
  counter: Counter,
  refused: boolean,
  tx: Tx,
): Promise<void> {
  const terms = termsOf(standing, key.meter)
  if (!terms || !standing.plan) return
  const limit = terms.included[standing.interval]
  const due = noticesDue(counter, terms, limit, refused)
  if (!due) return
  await stores.usage.mark(key, due.marks)
  const { start, end } = standing.window
  const iso = (time: number) => new Date(time).toISOString()
  const data = {
    meter: key.meter,
    plan: standing.plan.id,
    used: counter.used,
    limit,
    windowStart: iso(start),
    resetsAt: iso(end),
  }
  const resource = { type: 'meter', id: key.meter }
  for (const threshold of due.thresholds) {
    await deps.emit(scope, { type: 'alert.triggered', resource, data: { ...data, threshold } }, tx)
  }
  if (due.exceeded) await deps.emit(scope, { type: 'quota.exceeded', resource, data: { ...data, refused } }, tx)
}
