/** What @org/rbac, @org/webhooks and @org/billing stand on. It knows none of them, no framework and no database. */
export { type About, allows, authorize, forbidden } from './ability.js'
export {
  type Ability,
  Actor,
  checkScope,
  type DeniedAttempt,
  ExternalId,
  isExternalId,
  type RequestContext,
  type RequestInfo,
  type Scope,
  systemActor,
} from './context.js'
export {
  consoleLogger,
  createIdFactory,
  createRuntime,
  idTime,
  lowestId,
  systemClock,
  systemRandom,
} from './defaults.js'
export {
  coreErrors,
  defineErrors,
  type ErrorFactory,
  FieldError,
  isProblem,
  ProblemError,
  type ProblemInit,
  parse,
  unknownValue,
} from './errors.js'
export {
  createEmit,
  type DomainEvent,
  type Emit,
  type EventCatalog,
  type EventDraft,
  type EventSink,
} from './events.js'
export { defaultBodyLimit, readRaw } from './http/body.js'
export { contextOf, type GuardOptions } from './http/guard.js'
export type { HttpResponse, RouterOptions } from './http/message.js'
export { type OpenApiInfo, openapi, Problem } from './http/openapi.js'
export { problemResponse } from './http/problem.js'
export {
  type Guard,
  type HttpModule,
  type OutgoingWebhook,
  type Route,
  type RouteInput,
  rawBody,
  route,
  routesAbout,
} from './http/route.js'
export type { StreamedBody } from './http/stream.js'
export type { IdempotencyRecord, IdempotencyStore, StoredResponse } from './idempotency.js'
export { type Hearing, keepListening, type Listener, type Listening, type MessageSource } from './listening.js'
export {
  type MemoryDatabase,
  MemoryTransaction,
  memoryDatabase,
  memoryUnitOfWork,
  warnOfMemory,
} from './memory/database.js'
export { memoryIdempotency } from './memory/idempotency.js'
export { type MemoryRows, MemoryTable, type MemoryTableOptions, newestFirst } from './memory/table.js'
export { decodeCursor, encodeCursor, type Page, PageQuery, pageOf, paginate, type Slice } from './paging.js'
export { isPromise } from './promise.js'
export type { Clock, IdFactory, Logger, Random, Runtime, RuntimeOptions } from './runtime.js'
export type { RunOptions, Storage, Tx } from './storage.js'
export { checkId, Id, IdParams, Text } from './text.js'
export { Time, TimeParam, TimeView } from './time.js'
