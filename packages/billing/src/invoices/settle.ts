/** What a provider's answer does to the invoice and to its subscription, in one transaction. */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { Payment } from '../payments/schema.js'
import type { ChargeResult } from '../provider/port.js'
import type { BillingStores } from '../storage/port.js'
import { applyChange } from '../subscriptions/apply.js'
import { emitSubscription } from '../subscriptions/events.js'
import type { Subscription } from '../subscriptions/schema.js'
import { emitInvoice, emitPaymentFailed } from './events.js'
import { addToBalance, emitFinal, numbered } from './issue.js'
import type { Invoice } from './schema.js'

/**
 * Writes the answer down, once: whoever comes second with the same payment changes nothing. Answers a further payment
 * that came of it.
 */
export async function settle(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  payment: Payment,
  result: ChargeResult,
  tx: Tx,
): Promise<Payment | null> {
  const { tenantId, invoiceId } = payment
  const found = await stores.invoices.get(tenantId, invoiceId)
  if (!found) return null
  const { subscriptionId } = found
  const subscription = subscriptionId === null ? null : await stores.subscriptions.lock(tenantId, subscriptionId)
  const invoice = await stores.invoices.lock(tenantId, invoiceId)
  if (!invoice) return null
  const now = deps.runtime.clock.now()
  const declineCode = result.status === 'declined' ? result.code : null
  const { status, reference } = result
  if (!(await stores.payments.settle(payment.id, { status, reference, declineCode, settledAt: now }))) return null
  if (declineCode !== null) {
    await declined(deps, stores, scope, invoice, subscription, declineCode, tx)
    return null
  }
  return paid(deps, stores, scope, invoice, subscription, payment.amount, tx)
}

async function paid(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  invoice: Invoice,
  subscription: Subscription | null,
  amount: number,
  tx: Tx,
): Promise<Payment | null> {
  const now = deps.runtime.clock.now()
  const settled = { status: 'paid', amountPaid: amount, paidAt: now, updatedAt: now } as const
  if (invoice.status !== 'draft') {
    const after = { ...invoice, ...settled }
    await stores.invoices.update(after)
    await emitInvoice(deps, scope, 'paid', after, tx, invoice)
    if (subscription) await clearPastDue(deps, stores, scope, subscription, tx)
    return null
  }
  const step = subscription && (await whenPaid(deps, stores, scope, invoice, subscription, tx))
  const after = { ...(await numbered(deps, stores, invoice)), ...settled, change: null }
  await stores.invoices.update(after)
  await emitFinal(deps, scope, after, invoice, tx)
  return step
}

/** A draft that was paid: the step of its subscription that it stood for is made. */
async function whenPaid(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  invoice: Invoice,
  subscription: Subscription,
  tx: Tx,
): Promise<Payment | null> {
  if (invoice.change) {
    return (await applyChange(deps, stores, scope, subscription, invoice.change, invoice.id, tx)).payment
  }
  const updatedAt = deps.runtime.clock.now()
  const active: Subscription = { ...subscription, status: 'active', pendingInvoiceId: null, updatedAt }
  await stores.subscriptions.update(active)
  await emitSubscription(deps, scope, 'created', active, tx)
  return null
}

async function declined(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  invoice: Invoice,
  subscription: Subscription | null,
  declineCode: string,
  tx: Tx,
): Promise<void> {
  await emitPaymentFailed(deps, scope, invoice, declineCode, tx)
  if (invoice.status === 'draft') return takeBack(deps, stores, invoice, subscription)
  if (subscription?.status !== 'active') return
  const now = deps.runtime.clock.now()
  const late: Subscription = { ...subscription, status: 'past_due', pastDueSince: now, updatedAt: now }
  await stores.subscriptions.update(late)
  await emitSubscription(deps, scope, 'updated', late, tx, subscription)
}

/** Leaves everything as it was before the step began. */
async function takeBack(deps: Deps, stores: BillingStores, invoice: Invoice, subscription: Subscription | null) {
  await addToBalance(deps, stores, invoice.tenantId, invoice.balanceApplied)
  await stores.payments.removeOf(invoice.id)
  await stores.invoices.remove(invoice.id)
  if (!subscription) return
  if (subscription.status === 'incomplete') return stores.subscriptions.remove(subscription.id)
  await stores.subscriptions.update({ ...subscription, pendingInvoiceId: null })
}

/** Active again once nothing is owed any more. */
export async function clearPastDue(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  subscription: Subscription,
  tx: Tx,
): Promise<void> {
  if (subscription.status !== 'past_due') return
  if ((await stores.invoices.openOf(subscription.id)).length > 0) return
  const updatedAt = deps.runtime.clock.now()
  const active: Subscription = { ...subscription, status: 'active', pastDueSince: null, updatedAt }
  await stores.subscriptions.update(active)
  await emitSubscription(deps, scope, 'updated', active, tx, subscription)
}
