/** When to try again. */
import { coreErrors } from '@org/core'

const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** The ten attempts that Standard Webhooks advises: how long each waits for the one before it, in milliseconds. */
export const defaultScheduleMs: readonly number[] = [
  0,
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
]

/** The longest that a `Retry-After` can put an attempt off. */
const maxRetryAfter = 24 * hour

const jitter = 0.2

/** A year. */
export const longestDelay = 365 * 24 * hour

/** How many entries a schedule may have. */
export const maxAttempts = 50

/** @throws ProblemError `setup_error` for an empty schedule or a delay that is no whole number of milliseconds. */
export function checkSchedule(schedule: readonly number[]): readonly number[] {
  const valid = (delay: number) => Number.isInteger(delay) && delay >= 0 && delay <= longestDelay
  if (Array.isArray(schedule) && schedule.length > 0 && schedule.length <= maxAttempts && schedule.every(valid))
    return schedule
  throw coreErrors.setup_error({
    detail: '`retry.scheduleMs` must list 1 to 50 delays, in whole milliseconds, none longer than a year.',
  })
}

/** The delay varied by ±20 %, so that receivers are not hit by all retries at once. `random` is in [0, 1). */
export function jittered(delay: number, random: number): number {
  return Math.round(delay * (1 - jitter + 2 * jitter * random))
}

/**
 * How long to wait before the next attempt, in milliseconds, or null if that was the last one. `used` counts the
 * attempts made. `Retry-After` is a floor: a receiver can ask for more time and never for less.
 */
export function retryDelay(
  schedule: readonly number[],
  used: number,
  random: number,
  retryAfter: number | null,
): number | null {
  const delay = schedule[used]
  if (delay === undefined) return null
  return Math.max(jittered(delay, random), Math.min(retryAfter ?? 0, maxRetryAfter))
}

/** `Retry-After` (RFC 9110 §10.2.3), in seconds or as an HTTP date, as milliseconds from `now`; null if it says nothing. */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  const value = header?.trim() ?? ''
  if (/^\d+$/.test(value)) return Number(value) * second
  // Date.parse also reads bare numbers and other forms; an HTTP date starts with the day's name.
  const time = /^[A-Za-z]{3,9},? /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? null : Math.max(0, time - now)
}
