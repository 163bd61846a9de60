/**
 * Having an invoice paid, in three steps: the attempt is written down, the provider is asked outside of our
 * transactions, and the answer is written down. A crash after the second heals: `runDueWork` asks again with the same
 * idempotency key.
 */
import { coreErrors, isProblem, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import { settle } from '../invoices/settle.js'
import type { ChargeResult } from '../provider/port.js'
import type { Payment } from './schema.js'

/**
 * Runs a step that may charge. A provider that decides in this process is asked within one transaction, so that the
 * step is done as a whole or not at all; any other one is asked between two.
 *
 * @throws ProblemError `setup_error` if a charge would be a network call inside of the host's transaction.
 */
export function chargingStep<T>(deps: Deps, scope: Scope, step: (scope: Scope) => Promise<T>): Promise<T> {
  if (deps.provider.inProcess) return deps.storage.run((_, tx) => step({ ...scope, tx }), scope.tx)
  if (!scope.tx) return step(scope)
  throw coreErrors.setup_error({
    detail: `The provider "${deps.provider.name}" is asked over the network: call this without a transaction (\`tx\`).`,
  })
}

/**
 * Asks the provider and writes down what it said. Answers why it was declined; null if it was paid.
 *
 * @throws ProblemError `payment_unavailable` (503) if the provider gave no answer: the payment stays pending.
 */
export async function collect(deps: Deps, scope: Scope, payment: Payment): Promise<string | null> {
  let next: Payment | null = payment
  let declined: string | null = null
  while (next) {
    const current: Payment = next
    const result = await charge(deps, scope, current)
    const followUp = await deps.storage.run((stores, tx) => settle(deps, stores, scope, current, result, tx), scope.tx)
    // What follows is an invoice of its own; it does not turn a paid change into a declined one.
    if (current === payment && result.status === 'declined') declined = result.code
    next = followUp
  }
  return declined
}

async function charge(deps: Deps, scope: Scope, payment: Payment): Promise<ChargeResult> {
  const customer = await deps.storage.read((stores) => stores.customers.get(payment.tenantId), scope.tx)
  if (!customer) throw new Error(`tenant ${payment.tenantId} has a payment but no customer`)
  const { idempotencyKey, amount, currency, tenantId, invoiceId } = payment
  try {
    return await deps.provider.charge({
      idempotencyKey,
      amount,
      currency,
      tenantId,
      customerId: customer.id,
      paymentMethod: customer.paymentMethod,
      invoiceId,
      description: `Invoice ${invoiceId}`,
    })
  } catch (cause) {
    if (isProblem(cause)) throw cause
    throw billingErrors.payment_unavailable({ detail: 'The payment is tried again by itself.', cause })
  }
}

/** The error for a payment that the caller waits for. */
export function declinedError(code: string, nothingChanged: boolean) {
  const detail = nothingChanged
    ? `The payment was declined (${code}) and nothing was changed. Use another payment method.`
    : `The payment was declined (${code}). The invoice stays open; use another payment method.`
  return billingErrors.payment_declined({ detail, extensions: { declineCode: code } })
}
