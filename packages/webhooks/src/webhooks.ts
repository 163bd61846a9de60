/** Puts the module together. */
import {
  createEmit,
  createRuntime,
  type EventSink,
  type HttpModule,
  type Logger,
  type RuntimeOptions,
  routesAbout,
  warnOfMemory,
} from '@org/core'
import { createDeadLetters, type DeadLetters } from './deliveries/dead-letters.js'
import { deadLetterRoutes, deliveryRoutes } from './deliveries/routes.js'
import { createDeliveries, type Deliveries } from './deliveries/service.js'
import { createAddressGuard } from './delivery/address-guard.js'
import { checkSchedule, defaultScheduleMs } from './delivery/backoff.js'
import { createDispatcher, type Dispatcher } from './delivery/dispatcher.js'
import type { NetworkOptions } from './delivery/sender.js'
import type { Deps } from './deps.js'
import { endpointRoutes } from './endpoints/routes.js'
import { createEndpoints, type Endpoints } from './endpoints/service.js'
import { defineEventTypes, type EventTypes } from './event-types/catalog.js'
import { defaultEventTypes } from './event-types/defaults.js'
import { eventTypeRoutes } from './event-types/routes.js'
import { createEventTypeCatalog } from './event-types/service.js'
import type { webhooksEvents } from './events.js'
import { messageRoutes } from './messages/routes.js'
import { createMessages, type Messages } from './messages/service.js'
import { memoryStorage } from './storage/memory/index.js'
import type { WebhooksStorage } from './storage/port.js'

export interface WebhooksOptions<Types extends EventTypes = typeof defaultEventTypes> extends RuntimeOptions {
  /** What can be published; the eight default types unless told. See `defineEventTypes`. */
  eventTypes?: Types
  /** In memory unless told, which is lost with the process. */
  storage?: WebhooksStorage
  /** Hear of every change within its transaction; one that throws rolls it back. */
  events?: EventSink | readonly EventSink[]
  network?: NetworkOptions
  retry?: RetryOptions
}

export interface RetryOptions {
  /**
   * How long each attempt waits for the one before it, in milliseconds, varied by ±20 %; as many attempts as there are
   * entries. Ten over some 75 hours unless told.
   */
  scheduleMs?: readonly number[]
}

/** The module: publish, manage, deliver. Its functions may be passed as values. */
export interface Webhooks<Types extends EventTypes = typeof defaultEventTypes>
  extends Pick<Messages<Types>, 'publish' | 'sink'>,
    Dispatcher {
  readonly endpoints: Endpoints
  readonly messages: Pick<Messages<Types>, 'get'>
  readonly deliveries: Deliveries
  readonly deadLetters: DeadLetters
  /** For `webhooksRouter` and for OpenAPI. */
  readonly http: HttpModule
}

/**
 * Makes the module. Nothing starts: call `startWorker()` or `drain()` to deliver.
 *
 * @throws ProblemError `setup_error` for options that cannot work.
 */
export function createWebhooks<const Types extends EventTypes = typeof defaultEventTypes>(
  options: WebhooksOptions<Types> = {},
): Webhooks<Types> {
  const runtime = createRuntime(options)
  const { network = {} } = options
  const wakeUps = new Set<() => void>()
  const deps: Deps = {
    storage: options.storage ?? temporaryStorage(runtime.logger),
    runtime,
    emit: createEmit<typeof webhooksEvents>(runtime, options.events),
    eventTypes: createEventTypeCatalog(defineEventTypes<EventTypes>(options.eventTypes ?? defaultEventTypes)),
    guard: createAddressGuard(network),
    network,
    schedule: checkSchedule(options.retry?.scheduleMs ?? defaultScheduleMs),
    wake() {
      for (const wake of wakeUps) wake()
    },
  }
  const endpoints = createEndpoints(deps)
  const { get, publish, sink } = createMessages<Types>(deps)
  const messages = { get }
  const deliveries = createDeliveries(deps)
  const deadLetters = createDeadLetters(deps)

  return {
    publish,
    sink,
    endpoints,
    messages,
    deliveries,
    deadLetters,
    ...createDispatcher(deps, wakeUps),
    http: {
      name: 'webhooks',
      runtime,
      routes: [
        ...eventTypeRoutes(deps.eventTypes),
        ...routesAbout('endpoint', endpointRoutes(endpoints)),
        ...routesAbout('message', messageRoutes(messages)),
        ...routesAbout('delivery', deliveryRoutes(deliveries)),
        ...routesAbout('delivery', deadLetterRoutes(deadLetters)),
      ],
      storage: deps.storage,
    },
  }
}

function temporaryStorage(logger: Logger): WebhooksStorage {
  warnOfMemory(logger, '@org/webhooks')
  return memoryStorage()
}
