/** Domain events: every mutation emits one inside its own transaction, and the host decides who listens. */
import type { z } from 'zod'
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
  /** What else it was done to; the audit log finds it by any of them. */
  targets?: { type: string; id: string }[] | undefined
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

/** The events of a module: what `data` is for each type. Hosts spread it into the event types of @org/webhooks. */
export type EventCatalog = Readonly<Record<string, z.ZodType>>

/**
 * `data` is small and flat and says which thing it is about (`endpointId`); it is what a webhook carries, so that its
 * names are for ever. `before` and `after` are what the resource's routes show, for the audit log.
 */
export type EventDraft<Types extends EventCatalog, Type extends keyof Types & string> = {
  type: Type
  data: z.input<Types[Type]> & Record<string, unknown>
} & Pick<DomainEvent, 'resource' | 'targets' | 'before' | 'after'>

/** Emits an event within `tx`. A type that the module's catalogue does not list does not compile. */
export type Emit<Types extends EventCatalog = EventCatalog> = <Type extends keyof Types & string>(
  scope: Scope,
  draft: EventDraft<Types, Type>,
  tx: Tx,
) => Promise<void>

type Sinks = EventSink | readonly EventSink[] | undefined

/** One `emit` for a module, over its own sinks and those that the host handed in; they hear in the order given. */
export function createEmit<Types extends EventCatalog>(runtime: Runtime, ...sinks: Sinks[]): Emit<Types> {
  const list = sinks.flat().filter((sink) => sink !== undefined)
  return async (scope, draft, tx) => {
    if (list.length === 0) return
    const { tenantId, actor = systemActor, ip, userAgent, requestId } = scope
    const origin = { tenantId, actor, ip, userAgent, requestId }
    const event: DomainEvent = { id: runtime.id('evt'), time: runtime.clock.now(), ...origin, ...draft }
    for (const sink of list) await sink(event, tx)
  }
}
