/** A subscription: a tenant on a plan, billed period after period. */
import { PageQuery, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { Interval, Terms } from '../catalog/schema.js'
import { InvoiceLine, InvoiceLineView, InvoicePreview, InvoicePreviewView } from '../invoices/schema.js'

/**
 * `incomplete`: the first payment is on its way. `active`: paid for. `past_due`: an invoice is open though its payment
 * was declined. `canceled`: over; it never comes back.
 */
export const SubscriptionStatus = z.enum(['incomplete', 'active', 'past_due', 'canceled'])
export type SubscriptionStatus = z.infer<typeof SubscriptionStatus>

export const Subscription = z.object({
  id: z.string(),
  tenantId: z.string(),
  plan: z.string(),
  interval: Interval,
  currency: z.string(),
  /** What the current period costs in full, in minor units, as it was when the period began. */
  amount: z.int(),
  status: SubscriptionStatus,
  /** Every period boundary is counted from here. */
  anchor: Time,
  currentPeriodStart: Time,
  currentPeriodEnd: Time,
  cancelAtPeriodEnd: z.boolean(),
  /** What the plan becomes when the period ends. */
  scheduledChange: Terms.nullable(),
  canceledAt: Time.nullable(),
  endedAt: Time.nullable(),
  /** Since when a declined payment is owed. */
  pastDueSince: Time.nullable(),
  createdAt: Time,
  updatedAt: Time,
  /** Unique for a tenant while the subscription lives; null when it has ended. */
  liveSlot: z.string().nullable(),
  /** What the current plan was billed at for this period, less what was credited: the most that can be credited. */
  billed: z.int(),
  /** The invoice that `billed` is on. */
  billedInvoiceId: z.string().nullable(),
  /** An invoice that decides a step of this subscription once it is paid; no other step may begin until then. */
  pendingInvoiceId: z.string().nullable(),
})
export type Subscription = z.infer<typeof Subscription>

/** The only slot there is so far: one live subscription for each tenant. */
export const mainSlot = 'main'

/** A typed plan key in `CreateSubscription` and `ChangeSubscription` comes from the catalog. */
export const CreateSubscription = z.strictObject({
  plan: z.string(),
  /** The plan's only interval, or month, unless told. */
  interval: Interval.optional(),
})
export type CreateSubscription = z.input<typeof CreateSubscription>

export const ChangeSubscription = z.strictObject({
  plan: z.string().optional(),
  interval: Interval.optional(),
})
export type ChangeSubscription = z.input<typeof ChangeSubscription>

export const CancelSubscription = z.strictObject({
  /** At the end of the paid period unless told. `now` ends it at once, without a refund. */
  when: z.enum(['period_end', 'now']).default('period_end'),
})
export type CancelSubscription = z.input<typeof CancelSubscription>

export const SubscriptionQuery = PageQuery.extend({ status: SubscriptionStatus.optional() })
export type SubscriptionQuery = z.input<typeof SubscriptionQuery>

export const SubscriptionView = Subscription.omit({
  tenantId: true,
  liveSlot: true,
  billed: true,
  billedInvoiceId: true,
  pendingInvoiceId: true,
})
  .extend({
    anchor: TimeView,
    currentPeriodStart: TimeView,
    currentPeriodEnd: TimeView,
    canceledAt: TimeView.nullable(),
    endedAt: TimeView.nullable(),
    pastDueSince: TimeView.nullable(),
    createdAt: TimeView,
    updatedAt: TimeView,
  })
  .meta({ id: 'BillingSubscription' })

/** The answer of `GET /subscription`: null on the default plan. */
export const CurrentSubscriptionView = z.object({ subscription: SubscriptionView.nullable() })

/** What a change would do. */
export const ChangePreview = z.object({
  /** `undo` forgets a scheduled change. */
  when: z.enum(['now', 'period_end', 'undo']),
  effectiveAt: Time,
  plan: z.string(),
  interval: Interval,
  /** What is charged at once; null if nothing is. */
  invoice: InvoicePreview.nullable(),
  /** What the usage so far costs, if its window ends early: it is billed by an invoice of its own. */
  usage: z.array(InvoiceLine),
})
export type ChangePreview = z.infer<typeof ChangePreview>

export const ChangePreviewView = ChangePreview.extend({
  effectiveAt: TimeView,
  invoice: InvoicePreviewView.nullable(),
  usage: z.array(InvoiceLineView),
}).meta({ id: 'BillingChangePreview' })
