/** The storage port of this module: its stores, bound to one transaction. */
import type { IdempotencyStore, MessageSource, Storage } from '@org/core'
import type { DeliveryStore } from '../deliveries/store.js'
import type { EndpointStore } from '../endpoints/store.js'
import type { JobStore } from '../jobs/store.js'
import type { MessageStore } from '../messages/store.js'
import type { RetentionStore } from '../retention/store.js'
import type { StatsStore } from '../stats/store.js'

export interface WebhooksStores {
  endpoints: EndpointStore
  messages: MessageStore
  deliveries: DeliveryStore
  jobs: JobStore
  stats: StatsStore
  retention: RetentionStore
  idempotency: IdempotencyStore
}

export interface WebhooksStorage extends Storage<WebhooksStores> {
  /** Says when something was made due by any process, as JSON of the endpoints' ids; without it, polling finds out. */
  wakeUps?: MessageSource
  /** The time of whatever several machines share, in epoch milliseconds; null if there is no such thing. */
  now?: () => Promise<number | null>
}
