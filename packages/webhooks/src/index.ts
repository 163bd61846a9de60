/** Signed outgoing webhooks, published in the host's own transaction. */
export {
  type Ability,
  type Actor,
  type Clock,
  contextOf,
  type DomainEvent,
  type EventSink,
  isProblem,
  type Logger,
  type MessageSource,
  memoryDatabase,
  ProblemError,
  type RequestContext,
  type Scope,
  type Tx,
} from '@org/core'
export type { DeadLetters } from './deliveries/dead-letters.js'
export type {
  Attempt,
  AttemptError,
  DeadLetterQuery,
  Delivery,
  DeliveryFilter,
  DeliveryQuery,
  DeliveryStatus,
  StoredDelivery,
} from './deliveries/schema.js'
export type { Deliveries } from './deliveries/service.js'
export type {
  Claimed,
  ClaimRequest,
  Delivered,
  DeliveryPatch,
  DeliverySlice,
  DeliveryStore,
  Due,
  SetAside,
  SetAsideQuery,
} from './deliveries/store.js'
export { isAllowedAddress } from './delivery/address-guard.js'
export { defaultScheduleMs } from './delivery/backoff.js'
export type { Dispatch, DispatchConsumer, DispatchJob } from './delivery/dispatch.js'
export type { Drained } from './delivery/dispatcher.js'
export type { OutgoingHooks, OutgoingMessage } from './delivery/outgoing.js'
export type { WorkerOptions } from './delivery/schema.js'
export type { NetworkOptions } from './delivery/sender.js'
export type { Worker } from './delivery/worker.js'
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
export type { Endpoints } from './endpoints/service.js'
export type { EndpointStore, Health, Subscriber } from './endpoints/store.js'
export { webhooksErrors } from './errors.js'
export { defineEventTypes, type EventTypes, testEventType, type WebhookEvent } from './event-types/catalog.js'
export { defaultEventTypes } from './event-types/defaults.js'
export type { EventType } from './event-types/schema.js'
export { webhooksEvents } from './events.js'
export type {
  Job,
  JobError,
  JobFilter,
  JobKind,
  JobParams,
  JobQuery,
  JobStatus,
  Place,
  RecoverRequest,
  RedriveRequest,
  StoredJob,
} from './jobs/schema.js'
export type { Jobs, Recovery, Redriving } from './jobs/service.js'
export type { JobClaim, JobPatch, JobStore } from './jobs/store.js'
export type { Message, MessageBody, Publish, Published, StoredMessage } from './messages/schema.js'
export type { Messages } from './messages/service.js'
export type { MessageStore, PublishedPlace, PublishedQuery, PublishedRow, SentMessage } from './messages/store.js'
export type { Pruned, RetentionOptions } from './retention/schema.js'
export type { Ended, EndedRequest, OldRequest, RetentionStore, SetAsideRequest } from './retention/store.js'
export type { EncryptionOptions } from './signing/encryption.js'
export type { EngineHealth } from './stats/health.js'
export type { BoundedCount, EndpointStats, StatsQuery, StoredStats } from './stats/schema.js'
export type { CountedStatus, StatsStore } from './stats/store.js'
export { type MemoryStorageOptions, memoryStorage } from './storage/memory/index.js'
export type { WebhooksStorage, WebhooksStores } from './storage/port.js'
export { createWebhooks, type RetryOptions, type Webhooks, type WebhooksOptions } from './webhooks.js'
