/** What every step begins with: the caller's subscription, locked, and with nothing else under way. */
import { coreErrors, type Scope } from '@org/core'
import { billingErrors } from '../errors.js'
import type { BillingStores } from '../storage/port.js'
import type { Subscription } from './schema.js'

/** The caller's, locked and able to take a step. @throws ProblemError `not_found`, and as {@link assertSteady}. */
export async function lockSteady(stores: BillingStores, { tenantId }: Scope, id: string): Promise<Subscription> {
  const subscription = await stores.subscriptions.lock(tenantId, id)
  if (!subscription) throw coreErrors.not_found()
  assertSteady(subscription)
  return subscription
}

/** @throws ProblemError if it has ended or waits for a payment. */
export function assertSteady(subscription: Subscription): void {
  if (subscription.liveSlot === null) throw billingErrors.subscription_ended({ detail: 'Create a new one.' })
  if (subscription.status === 'incomplete') throw billingErrors.subscription_incomplete()
  if (subscription.pendingInvoiceId === null) return
  throw billingErrors.payment_in_progress({ detail: 'Wait for it; `runDueWork` sees to one that was cut off.' })
}

/** Whether an invoice of it is open. */
export async function owes(stores: BillingStores, id: string): Promise<boolean> {
  return (await stores.invoices.openOf(id)).length > 0
}
