/** What the services and the engine of this module stand on. */
import type { Emit, Runtime } from '@org/core'
import type { AddressGuard } from './delivery/address-guard.js'
import type { NetworkOptions } from './delivery/sender.js'
import type { EventTypeCatalog } from './event-types/service.js'
import type { webhooksEvents } from './events.js'
import type { WebhooksStorage } from './storage/port.js'

export interface Deps {
  storage: WebhooksStorage
  runtime: Runtime
  emit: Emit<typeof webhooksEvents>
  eventTypes: EventTypeCatalog
  guard: AddressGuard
  network: NetworkOptions
  /** How long each attempt waits for the one before it, in milliseconds. */
  schedule: readonly number[]
  /** To be called after something was made due: workers of this process look sooner. */
  wake: () => void
}
