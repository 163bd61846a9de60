/** What was used ahead of its time in a window that ends early. */
import { prorate } from '../arithmetic/prorate.js'
import { planOfRow } from '../catalog/define.js'
import type { Deps } from '../deps.js'
import type { BillingStores } from '../storage/port.js'
import type { Subscription } from '../subscriptions/schema.js'
import type { CounterKey } from './schema.js'

/**
 * Counts again, in the window that follows, what was used of the included beyond its share of the time until `at`: the
 * time that is left was given back or never paid for, and without this each change to and fro would bring a fresh quota.
 */
export async function carryUse(
  { catalog, runtime }: Deps,
  stores: BillingStores,
  from: Subscription,
  used: ReadonlyMap<string, number>,
  at: number,
  to: Pick<CounterKey, 'holder' | 'windowStart'>,
): Promise<void> {
  const { tenantId, interval, currentPeriodStart: start, currentPeriodEnd: end } = from
  const { meters } = planOfRow(catalog, from)
  for (const [meter, units] of [...used].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const included = meters[meter]?.included[interval] ?? null
    if (included === null) continue
    const earned = included - prorate({ amount: included, start, end, from: at })
    const quantity = Math.min(units, included) - earned
    if (quantity <= 0) continue
    const id = runtime.id('use')
    const key = { tenantId, meter, ...to }
    await stores.usage.addEvent({ ...key, id, quantity, idempotencyKey: id, time: at, createdAt: runtime.clock.now() })
    await stores.usage.consume(key, quantity, null)
  }
}
