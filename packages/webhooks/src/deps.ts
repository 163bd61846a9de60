/** What the services and the engine of this module stand on. */
import type { Emit, Runtime } from '@org/core'
import type { AddressGuard } from './delivery/address-guard.js'
import type { OutgoingHooks } from './delivery/outgoing.js'
import type { NetworkOptions } from './delivery/sender.js'
import type { Filters } from './endpoints/filter.js'
import type { Endpoint } from './endpoints/schema.js'
import type { EventTypeCatalog } from './event-types/service.js'
import type { webhooksEvents } from './events.js'
import type { Vault } from './signing/encryption.js'
import type { WebhooksStorage } from './storage/port.js'

export interface Deps {
  storage: WebhooksStorage
  runtime: Runtime
  emit: Emit<typeof webhooksEvents>
  eventTypes: EventTypeCatalog
  filters: Filters
  guard: AddressGuard
  /** Keeps secrets sealed in the database, if the host gave a key. */
  vault: Vault
  hooks: OutgoingHooks
  /** Called after the engine has disabled an endpoint, and never waited for. */
  onEndpointDisabled: (endpoint: Endpoint, of: { tenantId: string }) => void
  network: NetworkOptions
  /** How long each attempt waits for the one before it, in milliseconds. */
  schedule: readonly number[]
  /** Whether an endpoint must answer a challenge before anything is sent to it. */
  challenge: boolean
  /** The largest body that is sent, in bytes. */
  maxBodyBytes: number
  /** To be called after something was made due: workers of this process look sooner. */
  wake: (endpointIds?: readonly string[]) => void
}
