/** An invoice: lines, exact totals, and a number once it is final. */
import { Id, PageQuery, Text, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { PricedLine } from '../arithmetic/price-usage.js'
import { Terms } from '../catalog/schema.js'

/**
 * `draft`: no number, nothing is owed. `open`: final and owed. `paid`: final and settled. `void`: final, taken back.
 */
export const InvoiceStatus = z.enum(['draft', 'open', 'paid', 'void'])
export type InvoiceStatus = z.infer<typeof InvoiceStatus>

/** Why it was made. */
export const InvoiceReason = z.enum([
  'subscription_create',
  'subscription_renewal',
  'subscription_change',
  'subscription_end',
  'manual',
])
export type InvoiceReason = z.infer<typeof InvoiceReason>

const LineBase = z.object({
  description: z.string(),
  quantity: z.int(),
  /** In minor units; negative for a credit. */
  amount: z.int(),
})

const lineFields = {
  kind: z.enum(['plan', 'proration_charge', 'proration_credit', 'usage', 'item']),
  /** The plan that the amount comes from; null for an item of the host's. */
  plan: z.string().nullable(),
  /** For usage. */
  meter: z.string().nullable(),
  /** How a usage amount comes about, one entry for each tier. */
  pricing: z.array(PricedLine),
}

export const InvoiceLine = LineBase.extend({ ...lineFields, periodStart: Time, periodEnd: Time })
export type InvoiceLine = z.infer<typeof InvoiceLine>

/** A change of a subscription that waits for its payment. */
export const PendingChange = Terms.extend({
  anchor: Time,
  periodStart: Time,
  periodEnd: Time,
  amount: z.int(),
  billed: z.int(),
  endsWindow: z.boolean(),
})
export type PendingChange = z.infer<typeof PendingChange>

export const Invoice = z.object({
  id: z.string(),
  tenantId: z.string(),
  /** Null for one that the host made by hand. */
  subscriptionId: z.string().nullable(),
  /** Gapless over the whole installation, given when the invoice becomes final. */
  number: z.string().nullable(),
  status: InvoiceStatus,
  reason: InvoiceReason,
  currency: z.string(),
  lines: z.array(InvoiceLine),
  /** The exact sum of the lines, in minor units; negative when more is credited than charged. */
  total: z.int(),
  /** What was taken from the customer's balance, or put onto it if negative. `total = balanceApplied + amountDue`. */
  balanceApplied: z.int(),
  /** What is to be paid; never negative. */
  amountDue: z.int().min(0),
  amountPaid: z.int().min(0),
  periodStart: Time,
  periodEnd: Time,
  finalizedAt: Time.nullable(),
  paidAt: Time.nullable(),
  voidedAt: Time.nullable(),
  createdAt: Time,
  updatedAt: Time,
  /** What the subscription becomes once a draft is paid. */
  change: PendingChange.nullable(),
  /** Unique: the subscription and the period that are billed. Null where none is. */
  periodKey: z.string().nullable(),
})
export type Invoice = z.infer<typeof Invoice>

/** An invoice of the host's own, such as a set-up fee. */
export const CreateInvoice = z.strictObject({
  lines: z
    // `amount` is the whole line's, not one unit's.
    .array(z.strictObject({ description: Text.min(1).max(500), quantity: z.int().min(1).default(1), amount: z.int() }))
    .min(1)
    .max(250),
})
export type CreateInvoice = z.input<typeof CreateInvoice>

export const InvoiceQuery = PageQuery.extend({
  status: InvoiceStatus.optional(),
  subscriptionId: Id.optional(),
})
export type InvoiceQuery = z.input<typeof InvoiceQuery>

export const InvoiceLineView = LineBase.extend({ ...lineFields, periodStart: TimeView, periodEnd: TimeView }).meta({
  id: 'BillingInvoiceLine',
})

export const InvoiceView = Invoice.omit({ tenantId: true, change: true, periodKey: true })
  .extend({
    lines: z.array(InvoiceLineView),
    periodStart: TimeView,
    periodEnd: TimeView,
    finalizedAt: TimeView.nullable(),
    paidAt: TimeView.nullable(),
    voidedAt: TimeView.nullable(),
    createdAt: TimeView,
    updatedAt: TimeView,
  })
  .meta({ id: 'BillingInvoice' })

/** What an invoice would say, without making one. */
export const InvoicePreview = Invoice.pick({
  currency: true,
  lines: true,
  total: true,
  balanceApplied: true,
  amountDue: true,
})
export type InvoicePreview = z.infer<typeof InvoicePreview>

export const InvoicePreviewView = InvoicePreview.extend({ lines: z.array(InvoiceLineView) }).meta({
  id: 'BillingInvoicePreview',
})

/** The answer of `GET /invoices/preview`: null without a subscription. */
export const NextInvoiceView = z.object({ invoice: InvoicePreviewView.nullable() })
