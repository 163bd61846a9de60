import { coreErrors } from '@org/core'

/** How long things are kept, in milliseconds; null keeps them for ever. At least an hour. */
export interface RetentionOptions {
  /**
   * Messages with their deliveries and attempts, counted from their publication or from the end of their last delivery,
   * whichever was later: 90 days unless told. What is pending, held or a dead letter stays with its message.
   */
  messagesMs?: number | null
  /** The payloads alone, likewise: as long as the message unless told. */
  payloadsMs?: number | null
  /**
   * What was set aside: dead letters since their last attempt, held deliveries since they were due. 180 days unless told.
   * They are then discarded, each with the event `delivery.discarded`, and kept from then on like all that has ended.
   */
  setAsideMs?: number | null
  /** Jobs, since they ended: 90 days unless told. */
  jobsMs?: number | null
  /** The hourly statistics of the endpoints: 400 days unless told. */
  statsMs?: number | null
}

export type RetentionTimes = { readonly [Name in keyof RetentionOptions]-?: number | null }

const dayMs = 24 * 60 * 60 * 1000
const defaults: RetentionTimes = {
  messagesMs: 90 * dayMs,
  payloadsMs: null,
  setAsideMs: 180 * dayMs,
  jobsMs: 90 * dayMs,
  statsMs: 400 * dayMs,
}
const shortestMs = 60 * 60 * 1000

/** @throws ProblemError `setup_error` for a name that is none, or a time that is shorter than an hour. */
export function checkRetention(options: RetentionOptions = {}): RetentionTimes {
  const times = { ...defaults }
  for (const [name, value] of Object.entries(options)) {
    if (!(name in defaults)) {
      throw coreErrors.setup_error({
        detail: `\`retention\` takes ${Object.keys(defaults).join(', ')}, and no ${name}.`,
      })
    }
    if (value === undefined) continue
    if (value !== null && !(Number.isSafeInteger(value) && value >= shortestMs)) {
      const detail = `\`retention.${name}\` must be null or a whole number of milliseconds, at least an hour (${shortestMs}).`
      throw coreErrors.setup_error({ detail })
    }
    times[name as keyof RetentionTimes] = value
  }
  return times
}

/** What retention did. */
export interface Pruned {
  messages: number
  deliveries: number
  attempts: number
  /** Forgotten; their messages stay. */
  payloads: number
  /** Dead letters and held deliveries that were given up; they stay for now. */
  discarded: number
  jobs: number
  /** Hours of endpoints. */
  stats: number
}

export function nothingPruned(): Pruned {
  return { messages: 0, deliveries: 0, attempts: 0, payloads: 0, discarded: 0, jobs: 0, stats: 0 }
}
