/** Signed outgoing webhooks, published in the host's own transaction. */
export type {
  Attempt,
  AttemptError,
  DeadLetterQuery,
  Delivery,
  DeliveryQuery,
  DeliveryStatus,
  StoredDelivery,
} from './deliveries/schema.js'
export type { Claimed, ClaimRequest, DeliveryPatch, DeliveryStore } from './deliveries/store.js'
export { isAllowedAddress } from './delivery/address-guard.js'
export { defaultSchedule } from './delivery/backoff.js'
export type { NetworkOptions } from './delivery/sender.js'
export type { Drained } from './delivery/service.js'
export type { Worker, WorkerOptions } from './delivery/worker.js'
export type {
  CreateEndpoint,
  Endpoint,
  EndpointWithSecret,
  RotateSecret,
  SendTest,
  StoredEndpoint,
  TestSent,
  UpdateEndpoint,
} from './endpoints/schema.js'
export type { EndpointStore } from './endpoints/store.js'
export { webhooksErrors } from './errors.js'
export { defineEventTypes, type EventTypes, testEventType } from './event-types/catalog.js'
export { defaultEventTypes } from './event-types/defaults.js'
export type { EventType } from './event-types/schema.js'
export { webhooksEvents } from './events.js'
export type { Message, MessageBody, Publish, Published, StoredMessage } from './messages/schema.js'
export type { MessageStore } from './messages/store.js'
export { type MemoryStorageOptions, memoryStorage } from './storage/memory/index.js'
export type { WebhooksStorage, WebhooksStores } from './storage/port.js'
export { createWebhooks, type RetryOptions, type Webhooks, type WebhooksOptions } from './webhooks.js'
