/** Metered usage: counted once, within the limit, in the caller's transaction. */
import { checkScope, coreErrors, Id, parse, type Scope, type Tx, unknownValue } from '@org/core'
import type { Deps } from '../deps.js'
import { meterOf } from '../entitlements/service.js'
import { beyond, usageLines } from '../invoices/lines.js'
import type { BillingStores } from '../storage/port.js'
import { mainSlot, type Subscription } from '../subscriptions/schema.js'
import { standingAt } from '../subscriptions/standing.js'
import { announce, consume, Refused, recordOf, type Target, WindowClosed } from './consume.js'
import { type Placed, place, wrongTime } from './place.js'
import { RecordUsage, RecordUsageBatch, type UsageEvent, type UsageRecord, type UsageSummary } from './schema.js'

export interface RecordOptions {
  /** The host's transaction: nothing is counted unless it commits. */
  tx?: Tx | undefined
}

/** `usage` of a module; `Meter` are the catalog's meters. */
export interface Usage<Meter extends string = string> {
  /**
   * Counts a use and checks the limit in one atomic step, in the host's transaction if it is handed in. A use that a
   * hard limit does not cover leaves nothing behind: neither the event nor the count.
   *
   * `alert.triggered` is emitted once for each threshold and window, and `quota.exceeded` once for each window: in the
   * transaction of the record that uses the quota up, or, if a record is refused before that, after it in a transaction
   * of its own (inside of `tx` when one was handed in).
   *
   * @throws ProblemError `quota_exceeded` (429), `plan_required` or `payment_due` (402), `feature_unavailable` (403),
   *   `idempotency_conflict` (409) for a key that stands for another quantity, `invalid_input` for an unknown meter or a
   *   time in a window that has been billed.
   */
  record(input: Omit<RecordUsage, 'meter'> & { meter: Meter }, options?: RecordOptions): Promise<UsageRecord>
  /**
   * Up to 1,000 at once, of any tenants: all are counted, or none. Keys that were recorded before, with the same
   * quantity, are skipped.
   *
   * @throws ProblemError as `record`.
   */
  recordBatch(
    inputs: readonly (Omit<RecordUsage, 'meter'> & { meter: Meter })[],
    options?: RecordOptions,
  ): Promise<{ recorded: number; duplicates: number }>
  /**
   * Takes a recorded use back, as if it had never been: its key can be recorded again. False if it is not there or its
   * window has been billed.
   */
  withdraw(scope: Scope, eventId: string): Promise<boolean>
  /** What the tenant has used in the current window of each meter of its plan, and what the overage costs so far. */
  summary(scope: Scope): Promise<UsageSummary>
}

export function createUsage(deps: Deps): Usage {
  const { catalog, storage, runtime } = deps

  function assertMeter(meter: string, pointer: string): void {
    if (!Object.hasOwn(catalog.meters, meter)) throw unknownValue(pointer, meter, Object.keys(catalog.meters))
  }

  /** Runs `work` again, with the subscriptions locked, if a renewal came in between. */
  async function counted<T>(tx: Tx | undefined, work: (stores: BillingStores, tx: Tx, locked: boolean) => Promise<T>) {
    try {
      return await storage
        .run((stores, own) => work(stores, own, false), tx)
        .catch((error: unknown) => {
          if (!(error instanceof WindowClosed)) throw error
          return storage.run((stores, own) => work(stores, own, true), tx)
        })
    } catch (error) {
      if (error instanceof WindowClosed) throw wrongTime('its window has just been billed')
      if (!(error instanceof Refused)) throw error
      if (error.untold) await noteRefused(error.target, tx)
      throw error.problem
    }
  }

  /** The refusal took back all that it did, so this is said apart. It never stands in for the refusal itself. */
  async function noteRefused(target: Target, tx: Tx | undefined): Promise<void> {
    const { key } = target
    try {
      await storage.run(async (stores, own) => {
        const counter = await stores.usage.lockCounter(key)
        await announce(deps, stores, { tenantId: key.tenantId }, target, counter, true, own)
      }, tx)
    } catch (error) {
      runtime.logger.error('quota.exceeded could not be emitted', { ...key, error })
    }
  }

  async function subscriptionOf(
    stores: BillingStores,
    tenantId: string,
    locked: boolean,
  ): Promise<Subscription | null> {
    const live = await stores.subscriptions.live(tenantId, mainSlot)
    const subscription = live && locked ? await stores.subscriptions.lock(tenantId, live.id) : live
    return subscription?.liveSlot === null ? null : subscription
  }

  return {
    async record(input, { tx } = {}) {
      const wanted = parse(RecordUsage, input)
      assertMeter(wanted.meter, '/meter')
      return counted(tx, async (stores, own, locked): Promise<UsageRecord> => {
        const { event, standing } = place(deps, await subscriptionOf(stores, wanted.tenantId, locked), wanted)
        const earlier = await stores.usage.addEvent(event)
        if (earlier) return duplicate(stores, { key: keyOf(earlier), standing }, earlier, event)
        const target = { key: keyOf(event), standing }
        const state = await consume(deps, stores, { tenantId: event.tenantId }, target, event.quantity, own)
        return { eventId: event.id, duplicate: false, ...state }
      })
    },

    async recordBatch(inputs, { tx } = {}) {
      const wanted = parse(RecordUsageBatch, inputs)
      for (const [index, { meter }] of wanted.entries()) assertMeter(meter, `/${index}/meter`)
      return counted(tx, async (stores, own, locked) => {
        const subscriptions = new Map<string, Subscription | null>()
        for (const tenantId of new Set(wanted.map((input) => input.tenantId).sort())) {
          subscriptions.set(tenantId, await subscriptionOf(stores, tenantId, locked))
        }
        const all = wanted.map((input) => place(deps, subscriptions.get(input.tenantId) ?? null, input))
        const added = await stores.usage.addEvents(all.map(({ event }) => event).toSorted(byKey))
        const earlier = all.flatMap(({ event }) => (added.has(event.id) ? [] : [event]))
        await assertSame(stores, earlier)
        for (const { target, quantity } of sums(all.filter(({ event }) => added.has(event.id)))) {
          await consume(deps, stores, { tenantId: target.key.tenantId }, target, quantity, own)
        }
        return { recorded: added.size, duplicates: all.length - added.size }
      })
    },

    async withdraw(scope, eventId) {
      checkScope(scope)
      parse(Id, eventId, '/eventId')
      try {
        return await storage.run(async (stores) => {
          const event = await stores.usage.getEvent(scope.tenantId, eventId)
          if (!event || !(await stores.usage.removeEvent(eventId))) return false
          if (!(await stores.usage.release(keyOf(event), event.quantity))) throw new WindowClosed()
          return true
        }, scope.tx)
      } catch (error) {
        if (error instanceof WindowClosed) return false
        throw error
      }
    },

    async summary(scope) {
      const { tenantId, tx } = checkScope(scope)
      return storage.read(async (stores) => {
        const live = await stores.subscriptions.live(tenantId, mainSlot)
        const standing = standingAt(catalog, live, runtime.clock.now(), deps.gracePeriodMs)
        const { plan, holder, interval, window } = standing
        const counters = await stores.usage.counters({ tenantId, holder, windowStart: window.start })
        const used = new Map(counters.map((counter) => [counter.meter, counter.used]))
        const lines = plan ? usageLines(catalog, plan, interval, used, window) : []
        const meters = Object.entries(plan?.meters ?? {}).map(([meter, terms]) => {
          const units = used.get(meter) ?? 0
          const { limit, remaining } = meterOf(standing, meter, units, 0)
          const overageAmount = lines.find((line) => line.meter === meter)?.amount ?? 0
          return {
            meter,
            used: units,
            limit,
            remaining,
            overage: beyond(terms.included[interval], units),
            overageAmount,
          }
        })
        const { start: windowStart, end: windowEnd } = window
        return { plan: plan?.id ?? null, currency: catalog.currency, windowStart, windowEnd, meters }
      }, tx)
    },
  }
}

function keyOf({ tenantId, holder, meter, windowStart }: UsageEvent) {
  return { tenantId, holder, meter, windowStart }
}

async function duplicate(
  stores: BillingStores,
  target: Target,
  earlier: UsageEvent,
  event: UsageEvent,
): Promise<UsageRecord> {
  if (earlier.quantity !== event.quantity) throw otherQuantity(earlier)
  const counter = await stores.usage.counter(target.key)
  return { eventId: earlier.id, duplicate: true, ...recordOf(target, counter ?? { used: 0 }) }
}

function otherQuantity({ idempotencyKey, quantity }: UsageEvent) {
  return coreErrors.idempotency_conflict({
    detail: `The key "${idempotencyKey}" was recorded with the quantity ${quantity}; use a new key for another use.`,
  })
}

const nameOf = ({ tenantId, meter, idempotencyKey }: UsageEvent) => JSON.stringify([tenantId, meter, idempotencyKey])

/** Two batches with the same keys write them in the same order, so that neither waits for the other for ever. */
function byKey(a: UsageEvent, b: UsageEvent): number {
  return nameOf(a) < nameOf(b) ? -1 : 1
}

/** @throws ProblemError `idempotency_conflict` if one of them was recorded with another quantity. */
async function assertSame(stores: BillingStores, events: readonly UsageEvent[]): Promise<void> {
  if (events.length === 0) return
  const earlier = new Map((await stores.usage.eventsOf(events)).map((event) => [nameOf(event), event]))
  for (const event of events) {
    const found = earlier.get(nameOf(event))
    if (found && found.quantity !== event.quantity) throw otherQuantity(found)
  }
}

/** One sum for each counter, sorted, so that two batches lock counters in the same order. */
function sums(all: readonly Placed[]): { target: Target; quantity: number }[] {
  const byKey = new Map<string, { target: Target; quantity: number }>()
  for (const { event, standing } of all) {
    const key = keyOf(event)
    const name = JSON.stringify([key.tenantId, key.holder, key.meter, key.windowStart])
    const sum = byKey.get(name) ?? { target: { key, standing }, quantity: 0 }
    byKey.set(name, { ...sum, quantity: sum.quantity + event.quantity })
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum)
}
