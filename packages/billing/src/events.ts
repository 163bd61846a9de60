/** What billing emits, and what `data` says. Hosts spread it into the event types of `@org/webhooks`. */
import { z } from 'zod'
import { Interval } from './catalog/schema.js'
import { InvoiceReason, InvoiceStatus } from './invoices/schema.js'
import { SubscriptionStatus } from './subscriptions/schema.js'

/** RFC 3339 text. */
const Moment = z.iso.datetime()

const Customer = z.object({ customerId: z.string(), name: z.string().nullable(), email: z.string().nullable() })

const Subscription = z.object({
  subscriptionId: z.string(),
  plan: z.string(),
  interval: Interval,
  status: SubscriptionStatus,
  currentPeriodStart: Moment,
  currentPeriodEnd: Moment,
  cancelAtPeriodEnd: z.boolean(),
})

const Invoice = z.object({
  invoiceId: z.string(),
  subscriptionId: z.string().nullable(),
  number: z.string().nullable(),
  status: InvoiceStatus,
  reason: InvoiceReason,
  currency: z.string(),
  /** In minor units, as are the next two. */
  total: z.int(),
  amountDue: z.int(),
  amountPaid: z.int(),
})

/** Loose, as the types of that name in `@org/webhooks` are: a host may emit its own. */
const Quota = z.looseObject({
  meter: z.string(),
  plan: z.string(),
  used: z.int(),
  limit: z.int().nullable(),
  windowStart: Moment,
  resetsAt: Moment,
})

const customer = { customerId: 'cus_1', name: 'Acme', email: 'billing@acme.example' }

const subscription = {
  subscriptionId: 'sub_1',
  plan: 'pro',
  interval: 'month',
  status: 'active',
  currentPeriodStart: '2026-01-31T00:00:00.000Z',
  currentPeriodEnd: '2026-02-28T00:00:00.000Z',
  cancelAtPeriodEnd: false,
} as const

const open = {
  invoiceId: 'inv_1',
  subscriptionId: 'sub_1',
  number: 'INV-000001',
  status: 'open',
  reason: 'subscription_renewal',
  currency: 'usd',
  total: 2900,
  amountDue: 2900,
  amountPaid: 0,
} as const

const draft = { ...open, subscriptionId: null, number: null, status: 'draft', reason: 'manual' } as const

const quota = {
  meter: 'requests',
  plan: 'pro',
  used: 8000,
  limit: 10_000,
  windowStart: '2026-01-31T00:00:00.000Z',
  resetsAt: '2026-02-28T00:00:00.000Z',
}

export const billingEvents = {
  'customer.created': Customer.meta({ description: 'A tenant got a customer.', examples: [customer] }),
  'customer.updated': Customer.meta({ description: 'Who pays for a tenant was changed.', examples: [customer] }),
  'subscription.created': Subscription.meta({
    description: 'A subscription began: its first payment is made, or none was due.',
    examples: [subscription],
  }),
  'subscription.updated': Subscription.meta({
    description: 'A plan, interval or status changed, or a change or cancellation was scheduled or taken back.',
    examples: [{ ...subscription, cancelAtPeriodEnd: true }],
  }),
  'subscription.renewed': Subscription.meta({ description: 'The next period began.', examples: [subscription] }),
  'subscription.canceled': Subscription.meta({
    description: 'A subscription ended for good.',
    examples: [{ ...subscription, status: 'canceled' }],
  }),
  'invoice.created': Invoice.meta({ description: 'The host drafted an invoice of its own.', examples: [draft] }),
  'invoice.finalized': Invoice.meta({ description: 'An invoice got its number.', examples: [open] }),
  'invoice.paid': Invoice.meta({
    description: 'An invoice is settled.',
    examples: [{ ...open, status: 'paid', amountPaid: 2900 }],
  }),
  'invoice.payment_failed': Invoice.extend({ declineCode: z.string() }).meta({
    description: 'A payment was declined.',
    examples: [{ ...open, declineCode: 'insufficient_funds' }],
  }),
  'invoice.voided': Invoice.meta({
    description: 'An open invoice was taken back.',
    examples: [{ ...open, status: 'void' }],
  }),
  'alert.triggered': Quota.extend({ threshold: z.number() }).meta({
    description: 'Usage passed a threshold of the plan.',
    examples: [{ ...quota, threshold: 0.8 }],
  }),
  'quota.exceeded': Quota.extend({
    /** Whether a use was refused, with some of the quota left. */
    refused: z.boolean(),
  }).meta({
    description: 'A tenant used up the quota of its plan.',
    examples: [{ ...quota, used: 10_000, refused: false }],
  }),
}
