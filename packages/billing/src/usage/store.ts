import type { Counter, CounterKey, UsageEvent } from './schema.js'

/** A counter whose sum is not that of its events. */
export interface CounterMismatch extends CounterKey {
  counted: number
  recorded: number
}

export interface UsageStore {
  /**
   * Writes the event, or answers the one with the same tenant, meter and idempotency key, waiting for a transaction
   * that is about to write it.
   */
  addEvent(event: UsageEvent): Promise<UsageEvent | null>
  /** Writes those that are new and answers their ids. */
  addEvents(events: readonly UsageEvent[]): Promise<ReadonlySet<string>>
  /** Those that stand for the same tenants, meters and keys, in any order, also ones that others have just committed. */
  eventsOf(events: readonly UsageEvent[]): Promise<UsageEvent[]>
  getEvent(tenantId: string, id: string): Promise<UsageEvent | null>
  /** False if it was not there. */
  removeEvent(id: string): Promise<boolean>
  /**
   * Adds to a counter if the sum stays within `limit` and the window is open, in one atomic step, and answers the
   * counter after it. Makes the counter if it is missing. Null, and nothing changed, if it does not fit or is closed.
   */
  consume(key: CounterKey, quantity: number, limit: number | null): Promise<Counter | null>
  /** Takes back from an open counter. False if it is closed. */
  release(key: CounterKey, quantity: number): Promise<boolean>
  counter(key: CounterKey): Promise<Counter | null>
  /** Notes which events were emitted. The caller's transaction has changed or locked the counter. */
  mark(key: CounterKey, marks: Pick<Counter, 'markedLimit' | 'alerted' | 'exceeded'>): Promise<void>
  /** Reads a counter and keeps others from changing it; makes it if it is missing. */
  lockCounter(key: CounterKey): Promise<Counter>
  /** Closes a window for good and answers what was used in it. */
  close(key: CounterKey): Promise<number>
  /** The counters of a window. */
  counters(window: Omit<CounterKey, 'meter'>): Promise<Counter[]>
  /** Counters after `after` that differ from the sum of their events, and where to go on; null at the end. */
  recount(
    after: CounterKey | null,
    limit: number,
  ): Promise<{ checked: number; wrong: CounterMismatch[]; next: CounterKey | null }>
}
