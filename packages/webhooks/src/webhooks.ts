/** Puts the module together. */
import {
  coreErrors,
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
import { createDispatching, type Dispatch } from './delivery/dispatch.js'
import { createDispatcher, type Dispatcher } from './delivery/dispatcher.js'
import type { OutgoingHooks } from './delivery/outgoing.js'
import type { NetworkOptions } from './delivery/sender.js'
import type { Deps } from './deps.js'
import { type Challenges, createChallenges } from './endpoints/challenge.js'
import { createFilters } from './endpoints/filter.js'
import { endpointRoutes } from './endpoints/routes.js'
import type { Endpoint } from './endpoints/schema.js'
import { createEndpoints, type Endpoints } from './endpoints/service.js'
import { defineEventTypes, type EventTypes } from './event-types/catalog.js'
import { defaultEventTypes } from './event-types/defaults.js'
import { outgoingWebhooks } from './event-types/outgoing.js'
import { eventTypeRoutes } from './event-types/routes.js'
import { createEventTypeCatalog } from './event-types/service.js'
import type { webhooksEvents } from './events.js'
import { jobRoutes } from './jobs/routes.js'
import { createJobRunner } from './jobs/run.js'
import { createJobs, type Jobs, type Recovery, type Redriving } from './jobs/service.js'
import { createWalks } from './jobs/walks.js'
import { defaultMaxBodyBytes } from './messages/draft.js'
import { createFanOut } from './messages/fan-out.js'
import { messageRoutes } from './messages/routes.js'
import { createMessages, type Messages } from './messages/service.js'
import { createExpunging, type Expunging } from './retention/expunge.js'
import { checkRetention, type RetentionOptions } from './retention/schema.js'
import { createRetention, type Pruning } from './retention/service.js'
import { createVault, type EncryptionOptions } from './signing/encryption.js'
import { createHealthCheck, type HealthCheck } from './stats/health.js'
import { createStats, type Stats } from './stats/service.js'
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
  /**
   * How long workers keep what has ended, 90 days unless told, and what was set aside, 180; statistics for 400. See
   * {@link RetentionOptions}.
   */
  retention?: RetentionOptions
  /** A queue that hands work to workers: see `bullmqDispatch`. Without it they look into the database themselves. */
  dispatch?: Dispatch
  /** Keeps signing secrets and customers' headers encrypted in the database; plain unless given. */
  encryption?: EncryptionOptions
  /**
   * Whether an endpoint, and each new URL of one, must prove that it is wanted before anything is sent to it: it is
   * created disabled, and what is published meanwhile is held until `endpoints.verify` has had its answer.
   */
  challenge?: boolean
  /** The largest body that can be published, in bytes: 1 MiB unless told. Standard Webhooks advises to stay below 20 kB. */
  maxPayloadBytes?: number
  /** Makes another body for an endpoint. See {@link OutgoingHooks.transform}. */
  transform?: OutgoingHooks['transform']
  /** Further headers for a request. See {@link OutgoingHooks.headers}. */
  headers?: OutgoingHooks['headers']
  /**
   * Called when the engine has disabled an endpoint, because it answered 410 or has failed for five days: to write its
   * owner a mail. After the commit, and never waited for; the event `endpoint.disabled` says the same within it.
   */
  onEndpointDisabled?: (endpoint: Endpoint, of: { tenantId: string }) => unknown
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
  extends Pick<Messages<Types>, 'publish' | 'publishBatch' | 'sink'>,
    Recovery,
    Dispatcher,
    Pruning,
    HealthCheck {
  readonly endpoints: Endpoints & Challenges & Stats
  readonly messages: Pick<Messages<Types>, 'get' | 'cancel'> & Expunging
  readonly deliveries: Deliveries
  readonly deadLetters: DeadLetters & Redriving
  readonly jobs: Jobs
  /** For `webhooksRouter` and for OpenAPI. */
  readonly http: Omit<HttpModule, 'vault'>
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
  const wakeUps = new Set<(endpointIds: readonly string[]) => void>()
  const dispatching = options.dispatch && createDispatching(options.dispatch, runtime.logger)
  const deps: Deps = {
    storage: options.storage ?? temporaryStorage(runtime.logger),
    runtime,
    emit: createEmit<typeof webhooksEvents>(runtime, options.events),
    eventTypes: createEventTypeCatalog(defineEventTypes<EventTypes>(options.eventTypes ?? defaultEventTypes)),
    filters: createFilters({ logger: runtime.logger }),
    guard: createAddressGuard(network),
    network,
    vault: createVault(options.encryption, runtime.random),
    hooks: { transform: options.transform, headers: options.headers },
    challenge: options.challenge === true,
    onEndpointDisabled: safely(runtime.logger, options.onEndpointDisabled),
    maxBodyBytes: checkMaxPayload(options.maxPayloadBytes ?? defaultMaxBodyBytes),
    schedule: checkSchedule(options.retry?.scheduleMs ?? defaultScheduleMs),
    wake(endpointIds = []) {
      dispatching?.announce(endpointIds)
      for (const wake of wakeUps) wake(endpointIds)
    },
  }
  const endpoints = { ...createEndpoints(deps), ...createChallenges(deps), ...createStats(deps) }
  const retention = createRetention(deps, checkRetention(options.retention))
  const { health, noteFinished } = createHealthCheck(deps)
  const fanOut = createFanOut(deps)
  const { get, cancel, publish, publishBatch, sink } = createMessages<Types>(deps, fanOut)
  const messages = { get, cancel, ...createExpunging(deps) }
  const deliveries = createDeliveries(deps)
  const walks = createWalks(deps)
  const runner = createJobRunner(deps, walks)
  const { recover, replay, redriveAll, ...jobs } = createJobs(deps, walks)
  const deadLetters = { ...createDeadLetters(deps), redriveAll }

  const besides = { jobs: runner.goOn, idle: retention.goOn, onFinished: noteFinished }

  const http: HttpModule = {
    name: 'webhooks',
    runtime,
    routes: [
      ...eventTypeRoutes(deps.eventTypes),
      ...routesAbout('endpoint', endpointRoutes(endpoints)),
      ...routesAbout('message', messageRoutes(messages)),
      ...routesAbout('delivery', deliveryRoutes(deliveries)),
      ...routesAbout('delivery', deadLetterRoutes(deadLetters)),
      ...routesAbout('job', jobRoutes({ ...jobs, recover, replay, redriveAll })),
    ],
    storage: deps.storage,
    vault: deps.vault,
    webhooks: outgoingWebhooks(options.eventTypes ?? defaultEventTypes),
  }

  return {
    publish,
    publishBatch,
    sink,
    endpoints,
    messages,
    deliveries,
    deadLetters,
    recover,
    replay,
    jobs,
    ...createDispatcher(deps, fanOut, wakeUps, besides, dispatching),
    prune: retention.prune,
    health,
    http,
  }
}

function checkMaxPayload(bytes: number): number {
  if (Number.isInteger(bytes) && bytes > 0) return bytes
  throw coreErrors.setup_error({ detail: '`maxPayloadBytes` must be a whole number of bytes.' })
}

/** A hook of the host's that fails must not fail what it is told of. */
function safely<Told extends unknown[]>(
  logger: Logger,
  hook: ((...told: Told) => unknown) | undefined,
): (...told: Told) => void {
  return (...told) => {
    if (!hook) return
    const failed = (error: unknown) => logger.error('A hook of the host failed', { error })
    try {
      Promise.resolve(hook(...told)).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

function temporaryStorage(logger: Logger): WebhooksStorage {
  warnOfMemory(logger, '@org/webhooks')
  return memoryStorage()
}
