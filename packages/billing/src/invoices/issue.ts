/** Making invoices within a transaction: totals against the balance, a number, the first payment attempt. */
import type { Scope, Tx } from '@org/core'
import { lockCustomer } from '../customers/ensure.js'
import type { Deps } from '../deps.js'
import { beginPayment } from '../payments/begin.js'
import type { Payment } from '../payments/schema.js'
import type { BillingStores } from '../storage/port.js'
import { emitInvoice } from './events.js'
import { totals } from './lines.js'
import type { Invoice, InvoiceLine, InvoiceReason, PendingChange } from './schema.js'

/** One sequence for the whole installation: it is the seller whose numbers may have no gaps. */
export const invoiceSequence = 'invoice'

export interface InvoiceDraft {
  subscriptionId: string | null
  reason: InvoiceReason
  lines: InvoiceLine[]
  period: { start: number; end: number }
  periodKey?: string
  /** Stays a draft without a number until it is paid, and this is what happens then. */
  change?: PendingChange
  /** Stays a draft without a number until it is paid. */
  untilPaid?: boolean
}

/** The invoice, and the payment to be collected for it once the transaction is over. The subscription is locked. */
export async function issueInvoice(
  deps: Deps,
  stores: BillingStores,
  scope: Scope,
  draft: InvoiceDraft,
  tx: Tx,
): Promise<{ invoice: Invoice; payment: Payment | null }> {
  const customer = await lockCustomer(deps.runtime, stores.customers, scope.tenantId)
  const sums = totals(draft.lines, customer.balance)
  await addToBalance(deps, stores, scope.tenantId, 0 - sums.balanceApplied)

  const drafted = newInvoice(deps, scope.tenantId, draft, sums)
  const waits = draft.untilPaid === true && sums.amountDue > 0
  const invoice = waits ? drafted : await numbered(deps, stores, drafted)
  if (!(await stores.invoices.insert(invoice))) throw new Error(`the period ${draft.periodKey} has been billed`)
  if (!waits) await emitFinal(deps, scope, invoice, drafted, tx)
  return { invoice, payment: invoice.amountDue > 0 ? await beginPayment(deps, stores, invoice) : null }
}

export function newInvoice(
  deps: Pick<Deps, 'runtime' | 'catalog'>,
  tenantId: string,
  draft: InvoiceDraft,
  sums: Pick<Invoice, 'total' | 'balanceApplied' | 'amountDue'>,
): Invoice {
  const now = deps.runtime.clock.now()
  return {
    id: deps.runtime.id('inv'),
    tenantId,
    subscriptionId: draft.subscriptionId,
    number: null,
    status: 'draft',
    reason: draft.reason,
    currency: deps.catalog.currency,
    lines: draft.lines,
    ...sums,
    amountPaid: 0,
    periodStart: draft.period.start,
    periodEnd: draft.period.end,
    finalizedAt: null,
    paidAt: null,
    voidedAt: null,
    createdAt: now,
    updatedAt: now,
    change: draft.change ?? null,
    periodKey: draft.periodKey ?? null,
  }
}

/**
 * The draft made final: with the next number, and paid if nothing is due. The number is the last lock taken, and it is
 * held until the transaction ends, so that a rollback leaves no gap.
 */
export async function numbered(deps: Deps, stores: BillingStores, draft: Invoice): Promise<Invoice> {
  const now = deps.runtime.clock.now()
  const number = deps.invoiceNumber(await stores.invoices.nextNumber(invoiceSequence))
  const settled = draft.amountDue === 0 ? ({ status: 'paid', paidAt: now } as const) : ({ status: 'open' } as const)
  return { ...draft, number, ...settled, finalizedAt: now, updatedAt: now }
}

export async function emitFinal(deps: Deps, scope: Scope, invoice: Invoice, before: Invoice, tx: Tx): Promise<void> {
  await emitInvoice(deps, scope, 'finalized', invoice, tx, before)
  if (invoice.status === 'paid') await emitInvoice(deps, scope, 'paid', invoice, tx, before)
}

/** Puts money onto the customer's balance, or takes it off. */
export async function addToBalance(deps: Deps, stores: BillingStores, tenantId: string, amount: number): Promise<void> {
  if (amount === 0) return
  const customer = await lockCustomer(deps.runtime, stores.customers, tenantId)
  const updatedAt = deps.runtime.clock.now()
  await stores.customers.update({ ...customer, balance: customer.balance + amount, updatedAt })
}
