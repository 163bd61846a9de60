/** One attempt: what is sent, and what follows from how it went. */
import type { Attempt } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import { parseRetryAfter, retryDelay } from './backoff.js'
import { finishMargin, type Job } from './engine.js'
import type { Outgoing } from './outgoing.js'
import type { Exchange, Sender } from './sender.js'

/** What became of a job. */
export type Outcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; dueAt: number }
  | { kind: 'dead_letter' }
  /** The endpoint is disabled, or answered 410 and is to be. */
  | { kind: 'held'; gone: boolean }
  /** The endpoint is no more, or the payload. */
  | { kind: 'canceled' }
  /** Nothing came of it; whoever claims it next begins then. */
  | { kind: 'released'; dueAt: number }

export interface Result {
  job: Job
  outcome: Outcome
  /** Null if nothing was sent. */
  attempt: Attempt | null
}

type AttemptDeps = Pick<Deps, 'runtime' | 'schedule'>

/** How many workers in a row may die while they hold a delivery before it is given up. */
const maxLost = 20

/** How long a delivery waits that could not be signed, in milliseconds. */
const unsignedWait = 60_000

/** Sends what was claimed. */
export type Attempting = (job: Job, sender: Sender) => Promise<Result>

/** `timeoutMs` is the deadline of an exchange for endpoints that have none of their own. */
export function createAttempting(
  { runtime, schedule }: AttemptDeps,
  outgoing: Outgoing,
  timeoutMs: number,
): Attempting {
  const { clock, random, logger } = runtime

  return async (job, sender) => {
    const { delivery, endpoint, message } = job
    const { id: deliveryId, attempts: number } = delivery
    const nothing = (outcome: Outcome): Result => ({ job, outcome, attempt: null })
    if (!endpoint || !message || message.body === null) return nothing({ kind: 'canceled' })
    if (!endpoint.enabled) return nothing({ kind: 'held', gone: false })
    const own = endpoint.retryScheduleMs ?? schedule
    // The schedule was made shorter meanwhile, or worker after worker died of it.
    if (delivery.step > own.length || delivery.lost > maxLost) return nothing({ kind: 'dead_letter' })
    const startedAt = clock.now()
    const deadline = endpoint.timeoutMs ?? timeoutMs
    // Another worker must not take it up while it may still be under way.
    if (startedAt + deadline + finishMargin > job.leaseUntil) return nothing({ kind: 'released', dueAt: startedAt })

    let made: ReturnType<Outgoing>
    try {
      made = outgoing({ ...message, body: message.body }, endpoint, startedAt)
    } catch (error) {
      // A secret that does not open is the host's to mend, and must not use up the schedule.
      logger.error('A webhook could not be signed', { deliveryId, endpointId: endpoint.id, error })
      return nothing({ kind: 'released', dueAt: startedAt + unsignedWait })
    }
    const exchange =
      'failed' in made
        ? made.failed
        : await sender.send({ url: endpoint.url, headers: made.headers, body: made.body, timeoutMs: deadline })
    const requestHeaders = 'failed' in made ? {} : made.loggedHeaders
    const attempt = { deliveryId, number, url: endpoint.url, requestHeaders, startedAt, ...exchange }
    return { job, outcome: outcomeOf(exchange, delivery.step, own), attempt }
  }

  function outcomeOf(exchange: Exchange, used: number, own: readonly number[]): Outcome {
    if (exchange.error === null) return { kind: 'delivered' }
    if (exchange.error === 'gone') return { kind: 'held', gone: true }
    if (exchange.error === 'worker_stopped') return { kind: 'released', dueAt: clock.now() }
    const now = clock.now()
    const retryAfter = parseRetryAfter(exchange.responseHeaders?.['retry-after'], now)
    const delay = retryDelay(own, used, random.number(), retryAfter)
    return delay === null ? { kind: 'dead_letter' } : { kind: 'retry', dueAt: now + delay }
  }
}
