/** Tells of the host's own requests: `request.completed`, `request.failed` and, if asked for, `request.created`. */
import { type Clock, createRuntime, ExternalId, type Logger, parse, type Random } from '@org/core'
import { z } from 'zod'
import { createQueue } from './queue.js'

/** Whose request it was, and with which key it was made. */
export interface RequestTenant {
  tenantId: string
  keyId?: string | null | undefined
}

type Told = string | RequestTenant | null | undefined

const RequestEventType = z.enum(['request.created', 'request.completed', 'request.failed'])
type RequestEventType = z.infer<typeof RequestEventType>

export interface RequestEventsOptions<Req> {
  /** Whose request it was; null is told to nobody. Asked when the response has ended. One that throws is told to nobody. */
  tenant(request: Req): Told | Promise<Told>
  /** The share of completed requests that is told, from 0 to 1: all unless told. */
  sampleRate?: number
  /** The share of failed ones: all unless told. */
  sampleFailures?: number
  /** Which are told: `request.completed` and `request.failed` unless told. */
  types?: readonly RequestEventType[]
  /** How many are published together, 100 unless told, and how long the first waits, in milliseconds: 1,000 unless told. */
  batchSize?: number
  flushMs?: number
  /** How many wait at the most, 10,000 unless told, while the database is slow; the others are dropped, and the log says so. */
  maxQueued?: number
  clock?: Clock
  random?: Random
  logger?: Logger
}

interface RequestData extends Record<string, unknown> {
  method: string
  path: string
  status?: number
  durationMs?: number
  error?: string
  keyId?: string
  requestId?: string
}

export interface RequestEvent {
  tenantId: string
  type: RequestEventType
  data: RequestData
}

/** The part of the module that it takes. */
export interface RequestEventsPublisher {
  publishBatch(messages: readonly RequestEvent[]): Promise<unknown>
}

/** What a framework's middleware says of a request. */
export interface SeenRequest {
  method: string
  /** The route's pattern, or the path without its query, which may hold secrets. */
  path: string
  requestId: string | undefined
}

/** How it ended: null for a connection that closed before the answer did. */
export interface SeenResponse {
  status: number | null
}

export interface RequestEvents<Req> {
  begin(): number
  ended(request: Req, seen: SeenRequest, response: SeenResponse, startedAt: number): void
  flush(): Promise<void>
}

const Options = z.object({
  sampleRate: z.number().min(0).max(1).default(1),
  sampleFailures: z.number().min(0).max(1).default(1),
  types: z.array(RequestEventType).min(1).default(['request.completed', 'request.failed']),
  batchSize: z.int().min(1).max(1_000).default(100),
  flushMs: z.int().min(1).max(60_000).default(1_000),
  maxQueued: z.int().min(1).default(10_000),
})

const maxPath = 512

/** @throws ProblemError `invalid_input` for an option that is not one. */
export function createRequestEvents<Req>(
  webhooks: RequestEventsPublisher,
  options: RequestEventsOptions<Req>,
): RequestEvents<Req> {
  const { sampleRate, sampleFailures, types, ...limits } = parse(Options, options)
  const { clock, random, logger } = createRuntime(options)
  const queue = createQueue<RequestEvent>({
    ...limits,
    clock,
    logger,
    publish: (events) => webhooks.publishBatch(events),
  })
  const instant = () => clock.monotonic?.() ?? clock.now()

  async function tell(request: Req, type: RequestEventType, data: RequestData): Promise<void> {
    const told = await options.tenant(request)
    if (told === null || told === undefined) return
    const { tenantId, keyId } = typeof told === 'string' ? { tenantId: told } : told
    const key = keyId === null || keyId === undefined ? {} : { keyId }
    const event = { tenantId: parse(ExternalId, tenantId, '/tenantId'), data: { ...data, ...key } }
    if (types.includes('request.created')) {
      const { status: _, durationMs: __, error: ___, ...created } = event.data
      queue.add({ ...event, type: 'request.created', data: created })
    }
    if (types.includes(type)) queue.add({ ...event, type })
  }

  return {
    begin: instant,
    ended(request, { method, path, requestId }, { status }, startedAt) {
      const failed = status === null || status >= 500
      if (random.number() >= (failed ? sampleFailures : sampleRate)) return
      const durationMs = Math.max(0, Math.round((instant() - startedAt) * 10) / 10)
      const id = requestId === undefined ? {} : { requestId: requestId.slice(0, 128) }
      const how = status === null ? { error: 'connection_closed' } : { status }
      const data = { ...id, method, path: path.slice(0, maxPath), durationMs, ...how }
      tell(request, failed ? 'request.failed' : 'request.completed', data).catch((error: unknown) => {
        logger.debug('A request was told to nobody', { error })
      })
    },
    flush: queue.flush,
  }
}
