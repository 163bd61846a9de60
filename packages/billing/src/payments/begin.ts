/** Writing a payment down before the provider is asked for it. */
import type { Deps } from '../deps.js'
import type { Invoice } from '../invoices/schema.js'
import type { BillingStores } from '../storage/port.js'
import type { Payment } from './schema.js'

/** The attempt that is on its way, or a new one. The invoice is locked and something is due on it. */
export async function beginPayment(deps: Deps, stores: BillingStores, invoice: Invoice): Promise<Payment> {
  const attempts = await stores.payments.of(invoice.id)
  const pending = attempts.find((payment) => payment.status === 'pending')
  if (pending) return pending
  const attempt = attempts.length + 1
  const customer = await stores.customers.get(invoice.tenantId)
  const payment: Payment = {
    id: deps.runtime.id('pay'),
    tenantId: invoice.tenantId,
    invoiceId: invoice.id,
    attempt,
    status: 'pending',
    amount: invoice.amountDue,
    currency: invoice.currency,
    paymentMethod: customer?.paymentMethod ?? null,
    idempotencyKey: `charge:${invoice.id}:${attempt}`,
    reference: null,
    declineCode: null,
    createdAt: deps.runtime.clock.now(),
    settledAt: null,
  }
  await stores.payments.insert(payment)
  return payment
}
