/** Billing periods: half-open, in UTC, each boundary counted from the anchor. */
import { parse } from '@org/core'
import { z } from 'zod'
import { Instant } from './instant.js'

const day = 24 * 60 * 60 * 1000

/** How long a period is. */
export const PeriodUnit = z.enum(['day', 'week', 'month', 'year'])
export type PeriodUnit = z.infer<typeof PeriodUnit>

const BillingPeriodInput = z.strictObject({
  anchor: Instant,
  interval: PeriodUnit,
  intervalCount: z.number().int().min(1).max(1200).default(1),
  at: Instant,
})
export type BillingPeriodInput = z.input<typeof BillingPeriodInput>

/** Epoch milliseconds; `end` belongs to the next period. */
export interface BillingPeriod {
  start: number
  end: number
}

/**
 * The period that holds `at`, for a subscription whose periods began at `anchor`. The n-th boundary is always computed
 * from the anchor and falls on the last day of a month that is too short: Jan 31, Feb 28 or 29, Mar 31. Times of day
 * are kept in UTC. Before the anchor the periods go on backwards.
 *
 * @throws ProblemError `invalid_input` for a time that is none, or an `intervalCount` below 1.
 */
export function billingPeriod(input: BillingPeriodInput): BillingPeriod {
  const { anchor, interval, intervalCount, at } = parse(BillingPeriodInput, input)
  const boundary = (n: number) => shift(anchor, interval, n * intervalCount)
  let n = Math.floor(elapsed(anchor, at, interval) / intervalCount)
  // The estimate is off by one when the day or the time of day has not been reached.
  while (boundary(n) > at) n--
  while (boundary(n + 1) <= at) n++
  return { start: boundary(n), end: boundary(n + 1) }
}

function elapsed(from: number, to: number, unit: PeriodUnit): number {
  if (unit === 'day') return (to - from) / day
  if (unit === 'week') return (to - from) / (7 * day)
  const [a, b] = [new Date(from), new Date(to)]
  const months = (b.getUTCFullYear() - a.getUTCFullYear()) * 12 + b.getUTCMonth() - a.getUTCMonth()
  return unit === 'month' ? months : months / 12
}

function shift(anchor: number, unit: PeriodUnit, count: number): number {
  if (unit === 'day') return anchor + count * day
  if (unit === 'week') return anchor + count * 7 * day
  return addMonths(anchor, unit === 'month' ? count : count * 12)
}

function addMonths(anchor: number, months: number): number {
  const date = new Date(anchor)
  const dayOfMonth = date.getUTCDate()
  // From the first of the month, so that nothing overflows into the one after.
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + months)
  const lastDay = new Date(date)
  lastDay.setUTCMonth(lastDay.getUTCMonth() + 1, 0)
  date.setUTCDate(Math.min(dayOfMonth, lastDay.getUTCDate()))
  return date.getTime()
}
