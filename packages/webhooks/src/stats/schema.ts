import { Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'

/** The upper bounds of the histogram, in milliseconds; what takes longer is counted by itself. */
export const bucketBounds = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const

/** Where each bucket of the histogram is kept, in their order. */
export const bucketFields = [
  'upTo50',
  'upTo100',
  'upTo250',
  'upTo500',
  'upTo1000',
  'upTo2500',
  'upTo5000',
  'upTo10000',
  'longer',
] as const
export type BucketField = (typeof bucketFields)[number]

/** What came of the attempts to one endpoint within an hour. */
export interface StoredStats extends Record<BucketField, number> {
  endpointId: string
  /** When the hour begins. */
  hour: number
  tenantId: string
  attempts: number
  failures: number
  /** Of all attempts together. */
  durationMs: number
  /** Of the longest. */
  maxMs: number
}

export const hourMs = 60 * 60 * 1000

/** How many there are, as far as they are counted. */
export const BoundedCount = z.object({
  count: z.int(),
  /** There are more than `count`: counting stopped there. */
  capped: z.boolean(),
})
export type BoundedCount = z.infer<typeof BoundedCount>

const HourStats = z.object({
  /** When the hour begins. */
  hour: Time,
  attempts: z.int(),
  failures: z.int(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
})

/** How an endpoint fares. Durations are in milliseconds, worked out from a histogram, and null if nothing was sent. */
export const EndpointStats = z.object({
  /** When the first hour begins and the last one ends. */
  since: Time,
  until: Time,
  /** Of the hours asked for. */
  attempts: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  /** From 0 to 1; null if there was no attempt. */
  successRate: z.number().nullable(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  maxMs: z.number().nullable(),
  /** The oldest first; hours without an attempt are left out. */
  series: z.array(HourStats),
  /** As it is now: deliveries that wait for their next attempt, or are being sent. */
  pending: BoundedCount,
  held: BoundedCount,
  deadLetters: BoundedCount,
  /** `open`: nothing is sent for a while; `half_open`: the next attempt decides. */
  circuit: z.enum(['closed', 'open', 'half_open']),
  /** When the first of the last failures in a row was; null if the last attempt succeeded, or none was made. */
  failingSince: Time.nullable(),
  consecutiveFailures: z.int(),
})
export type EndpointStats = z.infer<typeof EndpointStats>

export const EndpointStatsView = EndpointStats.extend({
  since: TimeView,
  until: TimeView,
  series: z.array(HourStats.extend({ hour: TimeView })),
  failingSince: TimeView.nullable(),
}).meta({ id: 'WebhookEndpointStats' })

/** The range of `stats` in epoch milliseconds, widened to whole hours: the last seven days unless told. */
export const StatsQuery = z.strictObject({ since: Time.optional(), until: Time.optional() })
export type StatsQuery = z.infer<typeof StatsQuery>

export const StatsParams = z.object({ since: TimeParam.optional(), until: TimeParam.optional() })
