/** Metered usage: events that are counted once, and counters that a limit is checked against. */
import { ExternalId, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'
import { Instant } from '../arithmetic/instant.js'

const IdempotencyKey = ExternalId

/** Bounded so that the sum of a window stays an exact number. */
const Quantity = z.int().min(1).max(1_000_000_000_000)

export const RecordUsage = z.strictObject({
  tenantId: ExternalId,
  meter: z.string(),
  /** Units used; 1 unless told. */
  quantity: Quantity.default(1),
  /** The same key for the same tenant and meter counts once. */
  idempotencyKey: IdempotencyKey.optional(),
  /** When it happened: now unless told. It must lie in a window that has not been billed. */
  time: Instant.optional(),
})
export type RecordUsage = z.input<typeof RecordUsage>

export const RecordUsageBatch = z.array(RecordUsage).min(1).max(1000)

/** {@link RecordUsage} over HTTP. */
export const RecordUsageParams = z.strictObject({
  meter: z.string(),
  quantity: Quantity.default(1),
  idempotencyKey: IdempotencyKey.optional(),
  time: TimeParam.optional(),
})

export const UsageEvent = z.object({
  id: z.string(),
  tenantId: z.string(),
  meter: z.string(),
  quantity: z.int(),
  /** The caller's, or the event's own id. */
  idempotencyKey: z.string(),
  time: Time,
  /** The window that it was counted in: whose, and since when. */
  holder: z.string(),
  windowStart: Time,
  createdAt: Time,
})
export type UsageEvent = z.infer<typeof UsageEvent>

/** One meter in one window. */
export interface CounterKey {
  tenantId: string
  /** Whose window it is: a subscription's id, or `default` for the default plan. */
  holder: string
  meter: string
  windowStart: number
}

export interface Counter extends CounterKey {
  /** The sum of the window's events. */
  used: number
  /** The window has been billed: nothing is counted in it any more. */
  closed: boolean
  /** The limit that the two marks below belong to; another plan's limit starts them afresh. -1 for none. */
  markedLimit: number
  /** The highest threshold that `alert.triggered` was emitted for. */
  alerted: number
  /** Whether `quota.exceeded` was emitted. */
  exceeded: boolean
}

/** A counter that nothing was counted in. */
export function newCounter({ tenantId, holder, meter, windowStart }: CounterKey): Counter {
  const marks = { markedLimit: -1, alerted: 0, exceeded: false }
  return { tenantId, holder, meter, windowStart, used: 0, closed: false, ...marks }
}

export const UsageRecord = z.object({
  eventId: z.string(),
  /** Whether this key had been recorded before; nothing was counted then. */
  duplicate: z.boolean(),
  meter: z.string(),
  used: z.int().describe('In the window, this record included.'),
  limit: z.int().nullable().describe('What the plan includes; null without limit.'),
  remaining: z.int().nullable(),
  enforced: z.boolean().describe('Whether what does not fit is refused.'),
  windowStart: Time,
  resetsAt: Time,
})
export type UsageRecord = z.infer<typeof UsageRecord>

export const UsageRecordView = UsageRecord.extend({ windowStart: TimeView, resetsAt: TimeView }).meta({
  id: 'BillingUsageRecord',
})

const MeterUsage = z.object({
  meter: z.string(),
  used: z.int(),
  limit: z.int().nullable(),
  remaining: z.int().nullable(),
  /** Units beyond what is included. */
  overage: z.int(),
  /** What the overage costs so far, in minor units. */
  overageAmount: z.int(),
})

/** What a tenant has used of each meter of its plan in the current window. */
export const UsageSummary = z.object({
  plan: z.string().nullable(),
  currency: z.string(),
  windowStart: Time,
  windowEnd: Time,
  meters: z.array(MeterUsage),
})
export type UsageSummary = z.infer<typeof UsageSummary>

export const UsageSummaryView = UsageSummary.extend({
  windowStart: TimeView,
  windowEnd: TimeView,
  meters: z.array(MeterUsage.meta({ id: 'BillingMeterUsage' })),
}).meta({ id: 'BillingUsageSummary' })
