/** What billing refuses, and why. Callers match on `code`. */
import { defineErrors } from '@org/core'

export const billingErrors = defineErrors('billing', {
  plan_required: { status: 402, title: 'The plan does not include this' },
  payment_due: { status: 402, title: 'An invoice is overdue' },
  payment_declined: { status: 402, title: 'The payment was declined' },
  feature_unavailable: { status: 403, title: 'No plan includes this' },
  customer_exists: { status: 409, title: 'The tenant has a customer already' },
  subscription_exists: { status: 409, title: 'The tenant has a live subscription already' },
  subscription_ended: { status: 409, title: 'The subscription has ended' },
  subscription_incomplete: { status: 409, title: 'The first payment has not been made' },
  no_change: { status: 409, title: 'The subscription is as asked already' },
  not_canceling: { status: 409, title: 'No cancellation or change is scheduled' },
  cancellation_scheduled: { status: 409, title: 'The subscription is about to end' },
  payment_in_progress: { status: 409, title: 'A payment for this subscription is on its way' },
  renewal_due: { status: 409, title: 'The subscription is due for renewal' },
  invoice_not_open: { status: 409, title: 'The invoice is not open' },
  invoice_not_draft: { status: 409, title: 'The invoice is not a draft' },
  quota_exceeded: { status: 429, title: 'The quota is used up' },
  payment_unavailable: { status: 503, title: 'The payment provider did not answer' },
})
