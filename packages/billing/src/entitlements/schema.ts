/** What a tenant may use. */
import { Time, TimeView } from '@org/core'
import { z } from 'zod'
import { FeatureValue } from '../catalog/schema.js'

/**
 * `included`: allowed. `overage`: allowed, and billed beyond what is included. `no_plan`: no subscription and no default
 * plan. `not_in_plan`: the plan does not have it. `limit_reached`: more of a static feature than the plan gives.
 * `quota_exceeded`: the window's quota does not cover what is needed. `payment_due`: an overdue invoice's grace is over.
 */
export const EntitlementReason = z.enum([
  'included',
  'overage',
  'no_plan',
  'not_in_plan',
  'limit_reached',
  'quota_exceeded',
  'payment_due',
])
export type EntitlementReason = z.infer<typeof EntitlementReason>

export const Entitlement = z.object({
  feature: z.string(),
  allowed: z.boolean(),
  /** What the plan gives of a feature; null for a meter. */
  value: FeatureValue.nullable(),
  /** Of a meter, or of a static feature that is a number; null if there is none. */
  limit: z.number().nullable(),
  /** In the current window; null for what is not metered. */
  used: z.int().nullable(),
  remaining: z.int().nullable(),
  /** When the window ends; null for what is not metered. */
  resetsAt: Time.nullable(),
  reason: EntitlementReason,
})
export type Entitlement = z.infer<typeof Entitlement>

export const EntitlementView = Entitlement.extend({ resetsAt: TimeView.nullable() }).meta({ id: 'BillingEntitlement' })

/** The path of `GET /entitlements/:feature`. */
export const FeatureParams = z.object({ feature: z.string() })

/** How many units the caller is about to use. For a static feature: how many there will be. */
export const Needed = z.int().min(0).default(1)

/** `CheckOptions` over HTTP. */
export const CheckParams = z.strictObject({ needed: z.coerce.number().int().min(0).optional() })
