import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import { type Counter, type CounterKey, newCounter, type UsageEvent } from '../../usage/schema.js'
import type { UsageStore } from '../../usage/store.js'

export interface MemoryUsageRows {
  events: MemoryRows<UsageEvent>
  counters: MemoryRows<Counter>
  /** The event of each key, so that a record does not search through all of them. */
  byKey: MemoryRows<{ key: string; id: string }>
}

const keyOf = ({ tenantId, holder, meter, windowStart }: CounterKey) =>
  JSON.stringify([tenantId, holder, meter, windowStart])
const eventKey = ({ tenantId, meter, idempotencyKey }: UsageEvent) => JSON.stringify([tenantId, meter, idempotencyKey])

export function memoryUsage(rows: MemoryUsageRows, tx: MemoryTransaction): UsageStore {
  const events = new MemoryTable(rows.events, tx, { key: (row) => row.id })
  const byKey = new MemoryTable(rows.byKey, tx, { key: (row) => row.key })
  const counters = new MemoryTable(rows.counters, tx, { key: keyOf })

  const counterOf = (key: CounterKey): Counter => counters.get(keyOf(key)) ?? newCounter(key)
  const put = (counter: Counter) => {
    if (!counters.insertUnlessExists(counter)) counters.replace(counter)
  }
  const add = (event: UsageEvent): UsageEvent | null => {
    const key = eventKey(event)
    if (byKey.insertUnlessExists({ key, id: event.id })) {
      events.insert(event)
      return null
    }
    return events.get(byKey.get(key)?.id ?? '')
  }

  return {
    addEvent: async (event) => add(event),
    addEvents: async (list) => new Set(list.filter((event) => add(event) === null).map((event) => event.id)),
    eventsOf: async (list) => list.flatMap((event) => events.get(byKey.get(eventKey(event))?.id ?? '') ?? []),
    getEvent: async (tenantId, id) => {
      const event = events.get(id)
      return event?.tenantId === tenantId ? event : null
    },
    removeEvent: async (id) => {
      const event = events.get(id)
      if (!event) return false
      const key = eventKey(event)
      byKey.delete(key)
      return events.delete(id)
    },
    consume: async (key, quantity, limit) => {
      const counter = counterOf(key)
      const used = counter.used + quantity
      if (counter.closed || (limit !== null && used > limit)) return null
      const after = { ...counter, used }
      put(after)
      return after
    },
    release: async (key, quantity) => {
      const counter = counters.get(keyOf(key))
      if (!counter || counter.closed) return false
      put({ ...counter, used: counter.used - quantity })
      return true
    },
    counter: async (key) => counters.get(keyOf(key)),
    mark: async (key, marks) => put({ ...counterOf(key), ...marks }),
    lockCounter: async (key) => {
      const counter = counterOf(key)
      put(counter)
      return counter
    },
    close: async (key) => {
      const counter = { ...counterOf(key), closed: true }
      put(counter)
      return counter.used
    },
    counters: async ({ tenantId, holder, windowStart }) =>
      counters.filter((row) => row.tenantId === tenantId && row.holder === holder && row.windowStart === windowStart),
    recount: async (after, limit) => {
      const all = counters
        .filter((row) => !after || keyOf(row) > keyOf(after))
        .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
        .slice(0, limit)
      const sums = new Map<string, number>()
      for (const event of events.filter(() => true)) {
        sums.set(keyOf(event), (sums.get(keyOf(event)) ?? 0) + event.quantity)
      }
      const wrong = all.flatMap((counter) => {
        const { tenantId, holder, meter, windowStart, used: counted } = counter
        const recorded = sums.get(keyOf(counter)) ?? 0
        return counted === recorded ? [] : [{ tenantId, holder, meter, windowStart, counted, recorded }]
      })
      return { checked: all.length, wrong, next: all.length === limit ? (all.at(-1) ?? null) : null }
    },
  }
}
