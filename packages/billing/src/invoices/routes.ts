import { IdParams, pageOf, type Route, route } from '@org/core'
import { billingErrors } from '../errors.js'
import { InvoiceQuery, InvoiceView, NextInvoiceView } from './schema.js'
import type { Invoices } from './service.js'

/** Making, finalising and voiding invoices is the seller's: the host calls the service for it. */
export function invoiceRoutes(invoices: Invoices): Route[] {
  return [
    route({
      id: 'billing.listInvoices',
      method: 'GET',
      path: '/invoices',
      summary: 'List invoices, the newest first',
      can: ['read', 'billing'],
      query: InvoiceQuery,
      response: pageOf(InvoiceView),
      handler: ({ query }, ctx) => invoices.list(ctx, query),
    }),
    route({
      id: 'billing.previewInvoice',
      method: 'GET',
      path: '/invoices/preview',
      summary: 'The next invoice as things stand; null without a subscription',
      can: ['read', 'billing'],
      response: NextInvoiceView,
      handler: async (_, ctx) => ({ invoice: await invoices.preview(ctx) }),
    }),
    route({
      id: 'billing.getInvoice',
      method: 'GET',
      path: '/invoices/:id',
      summary: 'Show an invoice with its lines',
      can: ['read', 'billing'],
      params: IdParams,
      response: InvoiceView,
      handler: ({ params: { id } }, ctx) => invoices.get(ctx, id),
    }),
    route({
      id: 'billing.payInvoice',
      method: 'POST',
      path: '/invoices/:id/pay',
      summary: 'Pay an open invoice with the payment method on file',
      can: ['update', 'billing'],
      params: IdParams,
      response: InvoiceView,
      errors: [billingErrors.payment_declined, billingErrors.payment_unavailable, billingErrors.invoice_not_open],
      handler: ({ params: { id } }, ctx) => invoices.pay(ctx, id),
    }),
  ]
}
