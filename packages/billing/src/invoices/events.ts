import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { type Invoice, InvoiceView } from './schema.js'

type InvoiceEvent = 'created' | 'finalized' | 'paid' | 'voided'

/** Emits `invoice.<what>`. */
export function emitInvoice(
  { emit }: Pick<Deps, 'emit'>,
  scope: Scope,
  what: InvoiceEvent,
  invoice: Invoice,
  tx: Tx,
  before?: Invoice,
): Promise<void> {
  const change = { ...(before && { before: InvoiceView.parse(before) }), after: InvoiceView.parse(invoice) }
  return emit(scope, { type: `invoice.${what}`, data: dataOf(invoice), resource: resourceOf(invoice), ...change }, tx)
}

/** Emits `invoice.payment_failed`. */
export function emitPaymentFailed(
  { emit }: Pick<Deps, 'emit'>,
  scope: Scope,
  invoice: Invoice,
  declineCode: string,
  tx: Tx,
): Promise<void> {
  const data = { ...dataOf(invoice), declineCode }
  const draft = { data, resource: resourceOf(invoice), after: InvoiceView.parse(invoice) }
  return emit(scope, { type: 'invoice.payment_failed', ...draft }, tx)
}

function resourceOf({ id }: Invoice) {
  return { type: 'invoice', id }
}

function dataOf({ id, subscriptionId, number, status, reason, currency, total, amountDue, amountPaid }: Invoice) {
  return { invoiceId: id, subscriptionId, number, status, reason, currency, total, amountDue, amountPaid }
}
