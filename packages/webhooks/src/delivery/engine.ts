/**
 * Claim, send, finish. A claim leases deliveries in a short transaction; sending happens outside of any; finishing
 * takes the lease's own token, so that whoever outlived its lease changes nothing. An expired lease is picked up by the
 * next ordinary claim.
 */
import type { Attempt, StoredDelivery } from '../deliveries/schema.js'
import type { ClaimRequest } from '../deliveries/store.js'
import type { Deps } from '../deps.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import type { StoredMessage } from '../messages/schema.js'
import { parseRetryAfter, retryDelay } from './backoff.js'
import type { Exchange, Sender } from './sender.js'
import { signatureHeaders } from './sign.js'

/** A claimed delivery with all that sending it takes. */
export interface Job {
  delivery: StoredDelivery
  leaseToken: string
  leaseUntil: number
  /** Null if it was deleted. */
  endpoint: StoredEndpoint | null
  message: StoredMessage | null
}

/** What became of a job. */
export type Outcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; dueAt: number }
  | { kind: 'dead_letter' }
  /** The endpoint is disabled, or answered 410 and is to be. */
  | { kind: 'held'; gone: boolean }
  /** The endpoint is no more. */
  | { kind: 'canceled' }
  /** The worker was told to stop; whoever claims it next begins at once. */
  | { kind: 'released' }

export interface Result {
  job: Job
  outcome: Outcome
  /** Null if nothing was sent. */
  attempt: Attempt | null
}

/** What a lease outlasts the timeout by, so that finishing has time: 40 s. */
const leaseMargin = 40_000

type EngineClaim = Pick<ClaimRequest, 'limit' | 'perEndpoint' | 'inFlight'> & { dueBy?: number }

export interface Engine {
  /** Leases what is due, with all that sending it takes. */
  claim(request: EngineClaim): Promise<Job[]>
  /** Sends. Null if the lease may not outlast the exchange: whoever claims it next does the work. */
  attempt(job: Job, sender: Sender): Promise<Result | null>
}

/** `timeoutMs` is the deadline of an exchange. */
export function createEngine(deps: Pick<Deps, 'storage' | 'runtime' | 'schedule'> & { timeoutMs: number }): Engine {
  const { storage, runtime, schedule, timeoutMs } = deps
  const { clock, id, random } = runtime
  const leaseMs = timeoutMs + leaseMargin

  async function claim(request: EngineClaim): Promise<Job[]> {
    const now = clock.now()
    const leaseUntil = now + leaseMs
    const token = id('lease')
    return storage.run(async ({ deliveries, endpoints, messages }) => {
      const claimed = await deliveries.claim({ ...request, now, dueBy: request.dueBy ?? now, token, leaseUntil })
      if (claimed.deliveries.length === 0) return []
      const found = {
        endpoints: byId(await endpoints.byIds(distinct(claimed.deliveries.map((row) => row.endpointId)))),
        messages: byId(await messages.byIds(distinct(claimed.deliveries.map((row) => row.messageId)))),
      }
      const lost = claimed.expired.map((row) => lostAttempt(row, found.endpoints.get(row.endpointId)?.url, leaseMs))
      await deliveries.insertAttempts(lost)
      return claimed.deliveries.map((delivery) => ({
        delivery,
        leaseToken: token,
        leaseUntil,
        endpoint: found.endpoints.get(delivery.endpointId) ?? null,
        message: found.messages.get(delivery.messageId) ?? null,
      }))
    })
  }

  async function attempt(job: Job, sender: Sender): Promise<Result | null> {
    const { delivery, endpoint, message } = job
    if (!endpoint || !message) return { job, outcome: { kind: 'canceled' }, attempt: null }
    if (!endpoint.enabled) return { job, outcome: { kind: 'held', gone: false }, attempt: null }
    // Every attempt was used up by workers that died of it.
    if (delivery.step > schedule.length) return { job, outcome: { kind: 'dead_letter' }, attempt: null }
    if (clock.now() + timeoutMs > job.leaseUntil) return null

    const startedAt = clock.now()
    const headers = requestHeaders(message, endpoint, startedAt)
    const exchange = await sender.send({ url: endpoint.url, headers, body: message.body })
    const { id: deliveryId, attempts: number } = delivery
    const logged: Attempt = { deliveryId, number, url: endpoint.url, requestHeaders: headers, startedAt, ...exchange }
    return { job, outcome: outcomeOf(exchange, delivery.step), attempt: logged }
  }

  function outcomeOf(exchange: Exchange, used: number): Outcome {
    if (exchange.error === null) return { kind: 'delivered' }
    if (exchange.error === 'gone') return { kind: 'held', gone: true }
    if (exchange.error === 'worker_stopped') return { kind: 'released' }
    const now = clock.now()
    const retryAfter = parseRetryAfter(exchange.responseHeaders?.['retry-after'], now)
    const delay = retryDelay(schedule, used, random.number(), retryAfter)
    return delay === null ? { kind: 'dead_letter' } : { kind: 'retry', dueAt: now + delay }
  }

  return { claim, attempt }
}

function requestHeaders(message: StoredMessage, endpoint: StoredEndpoint, now: number): Record<string, string> {
  const secrets = endpoint.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
  const content = { id: message.id, timestamp: Math.floor(now / 1000), body: message.body }
  return {
    'content-type': 'application/json',
    'user-agent': 'org-webhooks',
    ...signatureHeaders(
      content,
      secrets.map(({ value }) => value),
    ),
  }
}

/** Stands in the log for an attempt that was begun and never reported on. */
function lostAttempt(row: StoredDelivery, url: string | undefined, leaseMs: number): Attempt {
  return {
    deliveryId: row.id,
    number: row.attempts,
    url: url ?? '',
    address: null,
    requestHeaders: {},
    status: null,
    responseHeaders: null,
    responseBody: null,
    responseTruncated: false,
    error: 'worker_lost',
    detail: 'The worker that began this attempt never reported how it ended; it may have been received.',
    startedAt: row.dueAt - leaseMs,
    durationMs: 0,
  }
}

function distinct(ids: string[]): string[] {
  return [...new Set(ids)]
}

function byId<Row extends { id: string }>(rows: Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.id, row]))
}
