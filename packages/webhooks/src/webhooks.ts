/** Puts the module together. */
import {
  createEmit,
  createRuntime,
  type DomainEvent,
  type EventSink,
  type HttpModule,
  type Logger,
  type RuntimeOptions,
  type Tx,
  warnOfMemory,
} from '@org/core'
import { deadLetterRoutes, deliveryRoutes } from './deliveries/routes.js'
import { createDeliveriesService, type DeadLettersService, type DeliveriesService } from './deliveries/service.js'
import { createAddressGuard } from './delivery/address-guard.js'
import { checkSchedule, defaultSchedule } from './delivery/backoff.js'
import type { NetworkOptions } from './delivery/sender.js'
import { createDeliveryService, type DeliveryService } from './delivery/service.js'
import { endpointRoutes, type PublicEndpoints } from './endpoints/routes.js'
import { createEndpointsService } from './endpoints/service.js'
import { defineEventTypes, type EventTypes } from './event-types/catalog.js'
import { defaultEventTypes } from './event-types/defaults.js'
import { eventTypeRoutes } from './event-types/routes.js'
import { createEventTypesService } from './event-types/service.js'
import type { webhooksEvents } from './events.js'
import { messageRoutes } from './messages/routes.js'
import { createMessagesService, type MessagesService } from './messages/service.js'
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
  schedule?: readonly number[]
}

/** The module: publish, manage, deliver. Its functions may be passed as values. */
export interface Webhooks<Types extends EventTypes = typeof defaultEventTypes> {
  publish: MessagesService<Types>['publish']
  sink: (event: DomainEvent, tx: Tx) => Promise<void>
  endpoints: PublicEndpoints
  messages: Pick<MessagesService<Types>, 'get'>
  deliveries: DeliveriesService
  deadLetters: DeadLettersService
  startWorker: DeliveryService['startWorker']
  drain: DeliveryService['drain']
  /** For `webhooksRouter` and for OpenAPI. */
  http: HttpModule
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
  const storage = options.storage ?? temporaryStorage(runtime.logger)
  const schedule = checkSchedule(options.retry?.schedule ?? defaultSchedule)
  const guard = createAddressGuard(network)
  const emit = createEmit<typeof webhooksEvents>(runtime, options.events)
  const eventTypes = createEventTypesService(defineEventTypes<EventTypes>(options.eventTypes ?? defaultEventTypes))
  const wake = () => delivery.wake()

  const endpoints = createEndpointsService({ storage, runtime, emit, eventTypes, guard, wake })
  const firstDelay = schedule[0] ?? 0
  const messages = createMessagesService<Types>({ storage, runtime, eventTypes, firstDelay, wake })
  const { deliveries, deadLetters } = createDeliveriesService({ storage, runtime, emit, wake })
  const delivery = createDeliveryService({ storage, runtime, schedule, network, guard, endpoints, emit })

  const { settleDisabled: _, ...managed } = endpoints
  const publicEndpoints = { ...managed, sendTest: messages.sendTest }
  return {
    publish: messages.publish,
    sink: messages.sink,
    endpoints: publicEndpoints,
    messages: { get: messages.get },
    deliveries,
    deadLetters,
    startWorker: delivery.startWorker,
    drain: delivery.drain,
    http: {
      name: 'webhooks',
      runtime,
      routes: [
        ...eventTypeRoutes(eventTypes),
        ...endpointRoutes(publicEndpoints),
        ...messageRoutes(messages),
        ...deliveryRoutes(deliveries),
        ...deadLetterRoutes(deadLetters),
      ],
      storage,
    },
  }
}

function temporaryStorage(logger: Logger): WebhooksStorage {
  warnOfMemory(logger, '@org/webhooks')
  return memoryStorage()
}
