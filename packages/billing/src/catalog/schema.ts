/** What is sold: plans, features and meters, as the host declares them. */
import { z } from 'zod'
import { UsagePrice } from '../arithmetic/price-usage.js'

/** The key of a plan, feature or meter: it goes into rows, routes and response headers. */
const Key = z.string().regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/, 'must be a letter and then letters, digits, "_" or "-"')

const Name = z.string().min(1).max(200)

/** How often a plan is billed. */
export const Interval = z.enum(['month', 'year'])
export type Interval = z.infer<typeof Interval>

/** What is subscribed to: a plan by the interval. */
export const Terms = z.object({ plan: z.string(), interval: Interval })
export type Terms = z.infer<typeof Terms>

/** `boolean`: a plan has it or not. `static`: a plan gives it a value, such as 10 projects or a region. */
export const FeatureDefinition = z.strictObject({ name: Name.optional(), type: z.enum(['boolean', 'static']) })
export type FeatureDefinition = z.input<typeof FeatureDefinition>

/** Something that is counted. */
export const MeterDefinition = z.strictObject({ name: Name.optional(), unit: z.string().min(1).max(50).optional() })
export type MeterDefinition = z.input<typeof MeterDefinition>

/** What a plan gives of a static feature. */
export const FeatureValue = z.union([z.boolean(), z.number(), z.string().max(1000)])
export type FeatureValue = z.infer<typeof FeatureValue>

const Included = z.union([z.int().min(0), z.literal('unlimited')])

/** How much of a meter a plan includes, and what happens beyond. */
export const PlanMeter = z
  .strictObject({
    /** Units for each billing period, the same for every interval or `{ month, year }`. */
    included: z.union([Included, z.strictObject({ month: Included, year: Included })]),
    /** `hard` refuses what does not fit; `soft` lets it pass and bills `price` for it at the end of the period. */
    limit: z.enum(['hard', 'soft']),
    /** What the units beyond `included` cost; soft only. Without it they are free. */
    price: UsagePrice.optional(),
    /** Shares of `included` at which `alert.triggered` is emitted, such as `[0.8, 1]`. */
    alerts: z.array(z.number().gt(0).max(100)).max(20).default([]),
  })
  .refine((meter) => meter.limit === 'soft' || meter.price === undefined, {
    path: ['price'],
    message: "a hard limit lets nothing pass that could be billed; use `limit: 'soft'` or leave `price` out",
  })
export type PlanMeter = z.input<typeof PlanMeter>

/** A plan. Its prices are minor units of the catalog's currency: cents, or whole yen. */
export const PlanDefinition = z.strictObject({
  name: Name,
  description: z.string().max(2000).optional(),
  /** Its place among the tiers: moving to a higher or equal rank is an upgrade. Prices never decide that. */
  rank: z.int(),
  /** What a period costs. A plan without prices cannot be subscribed to; it can be the default plan. */
  prices: z.strictObject({ month: z.int().min(0).optional(), year: z.int().min(0).optional() }).default({}),
  features: z.record(z.string(), FeatureValue).default({}),
  meters: z.record(z.string(), PlanMeter).default({}),
})

/** The whole, before its parts are checked against each other. */
export const CatalogDefinition = z.strictObject({
  currency: z.string().regex(/^[a-z]{3}$/, 'must be an ISO 4217 code in lower case, such as "usd"'),
  features: z.record(Key, FeatureDefinition),
  meters: z.record(Key, MeterDefinition),
  plans: z.record(Key, PlanDefinition),
  defaultPlan: z.string().optional(),
})

/** What a meter of a plan says after its shorthands are resolved; null means without limit. */
export interface MeterTerms {
  included: Record<Interval, number | null>
  limit: 'hard' | 'soft'
  price: UsagePrice | null
  /** Ascending. */
  alerts: readonly number[]
}

/** A plan as the module works with it. */
export interface Plan {
  id: string
  name: string
  description: string | null
  rank: number
  prices: Partial<Record<Interval, number>>
  features: Readonly<Record<string, FeatureValue>>
  meters: Readonly<Record<string, MeterTerms>>
}

const IncludedView = z.object({ month: z.int().nullable(), year: z.int().nullable() })

/** A plan over HTTP. */
export const PlanView = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    rank: z.int(),
    currency: z.string(),
    prices: z.object({ month: z.int().optional(), year: z.int().optional() }).describe('In minor units.'),
    features: z.record(z.string(), FeatureValue),
    meters: z.record(
      z.string(),
      z.object({ included: IncludedView.describe('null is unlimited.'), limit: z.enum(['hard', 'soft']) }),
    ),
    isDefault: z.boolean(),
  })
  .meta({ id: 'BillingPlan' })
