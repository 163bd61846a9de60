import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { Invoice } from './schema.js'

type InvoiceEvent = 'created' | 'finalized' | 'paid' | 'payment_failed' | 'voided'

/** Emits `invoice.<what>`. The lines stay out: the event names the invoice. */
export function emitInvoice(
  deps: Pick<Deps, 'emit'>,
  scope: Scope,
  what: InvoiceEvent,
  invoice: Invoice,
  tx: Tx,
  more: { before?: Invoice; declineCode?: string } = {},
): Promise<void> {
  const { before, declineCode } = more
  const data = { ...snapshot(invoice), ...(declineCode !== undefined && { declineCode }) }
  const resource = { type: 'invoice', id: invoice.id }
  const change = { ...(before && { before: snapshot(before) }), after: snapshot(invoice) }
  return deps.emit(scope, { type: `invoice.${what}`, data, resource, ...change }, tx)
}

function snapshot({ id, subscriptionId, number, status, reason, currency, total, amountDue, amountPaid }: Invoice) {
  return { invoiceId: id, subscriptionId, number, status, reason, currency, total, amountDue, amountPaid }
}
