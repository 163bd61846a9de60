/** What goes along into the next window when one ends early. */
import { prorate } from '../arithmetic/prorate.js'
import { planOfRow } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import type { BillingStores } from '../storage/port.js'
import type { Subscription } from '../subscriptions/schema.js'
import type { CounterKey } from './schema.js'

type Window = Pick<CounterKey, 'tenantId' | 'holder' | 'windowStart'>

/**
 * What was used of the included beyond its share of the time until `at`, by meter: the time that is left was given back
 * or never paid for, and without this each change to and fro would bring a fresh quota.
 */
export function usedAhead(
  { catalog }: Pick<Deps, 'catalog'>,
  from: Subscription,
  used: ReadonlyMap<string, number>,
  at: number,
): Map<string, number> {
  const { interval, currentPeriodStart: start, currentPeriodEnd: end } = from
  const { meters } = planOfRow(catalog, from)
  const ahead = new Map<string, number>()
  for (const [meter, units] of used) {
    const included = meters[meter]?.included[interval] ?? null
    if (included === null) continue
    const earned = included - prorate({ amount: included, start, end, from: at })
    ahead.set(meter, Math.max(0, Math.min(units, included) - earned))
  }
  return ahead
}

/** Counts these units again in a window, whatever its limit. */
export async function carryUse(
  { runtime }: Pick<Deps, 'runtime'>,
  stores: BillingStores,
  units: ReadonlyMap<string, number>,
  to: Window,
): Promise<void> {
  // Sorted: counters are locked in the same order by everyone.
  for (const [meter, quantity] of [...units].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (quantity === 0) continue
    const id = runtime.id('use')
    const key = { ...to, meter }
    const now = runtime.clock.now()
    await stores.usage.addEvent({ ...key, id, quantity, idempotencyKey: id, time: now, createdAt: now })
    await stores.usage.consume(key, quantity, null)
  }
}
