/** Domain events: every mutation emits one inside its own transaction, and the host decides who listens. */
import { type Actor, type Scope, systemActor } from './context.js'
import type { Runtime } from './runtime.js'
import type { Tx } from './storage.js'

/** Something that happened. `before` and `after` are what the audit log shows; they never hold secrets. */
export interface DomainEvent {
  id: string
  /** Dotted: `key.created`, `endpoint.updated`, `quota.exceeded`. */
  type: string
  tenantId: string
  actor: Actor
  resource?: { type: string; id: string } | undefined
  /** Milliseconds since the epoch. */
  time: number
  data: Record<string, unknown>
  before?: Record<string, unknown> | undefined
  after?: Record<string, unknown> | undefined
  ip?: string | undefined
  userAgent?: string | undefined
  requestId?: string | undefined
}

/**
 * Hears of each event before the transaction commits, and may join it by passing `tx` on.
 * A sink that throws rolls the whole mutation back. No network call belongs in a sink.
 */
export type EventSink = (event: DomainEvent, tx: Tx) => void | Promise<void>

export type EventDraft = Pick<DomainEvent, 'type' | 'data' | 'resource' | 'before' | 'after'>

/** Emits an event within `tx`. */
export type Emit = (scope: Scope, draft: EventDraft, tx: Tx) => Promise<void>

/** One `emit` for a module, over the sinks that the host handed in; they hear in the order given. */
export function createEmit(sinks: EventSink | readonly EventSink[] | undefined, runtime: Runtime): Emit {
  const list = typeof sinks === 'function' ? [sinks] : (sinks ?? [])
  return async (scope, draft, tx) => {
    if (list.length === 0) return
    const { tenantId, actor = systemActor, ip, userAgent, requestId } = scope
    const origin = { tenantId, actor, ip, userAgent, requestId }
    const event: DomainEvent = { id: runtime.id('evt'), time: runtime.clock.now(), ...origin, ...draft }
    for (const sink of list) await sink(event, tx)
  }
}
