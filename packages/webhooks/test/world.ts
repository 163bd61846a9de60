/** A module with a clock that stands still, chance that is always the middle, and a log of what it told. */
import { createIdFactory, type DomainEvent, type EventSink, systemRandom } from '@org/core'
import { type FakeClock, fakeClock, type LogEntry, recordingLogger } from '@org/core/testing'
import {
  createWebhooks,
  type defaultEventTypes,
  type EventTypes,
  memoryStorage,
  type Webhooks,
  type WebhooksOptions,
} from '@org/webhooks'
import { loopback } from './receiver.js'

export interface World<Types extends EventTypes> {
  webhooks: Webhooks<Types>
  clock: FakeClock
  events: DomainEvent[]
  log: readonly LogEntry[]
}

export const scope = { tenantId: 't1', actor: { type: 'user', id: 'ann' } } as const
export const keyCreated = { tenantId: 't1', type: 'key.created', data: { keyId: 'key_1' } } as const

export function world<const Types extends EventTypes = typeof defaultEventTypes>(
  options: WebhooksOptions<Types> = {},
): World<Types> {
  const clock = fakeClock()
  const events: DomainEvent[] = []
  const logger = recordingLogger()
  const record: EventSink = (event) => void events.push(event)
  const sinks = [record, ...[options.events ?? []].flat()]
  const webhooks = createWebhooks<Types>({
    storage: memoryStorage(),
    clock,
    logger,
    id: createIdFactory(clock, systemRandom), // two worlds may share a storage
    random: { number: () => 0.5, bytes: (size) => new Uint8Array(size).map((_, index) => index) },
    network: loopback,
    ...options,
    events: sinks,
  })
  return { webhooks, clock, events, log: logger.entries }
}
