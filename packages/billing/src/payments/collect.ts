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
  const result = await charge(deps, scope, payment)
  const next = await deps.storage.run((stores, tx) => settle(deps, stores, scope, payment, result, tx), scope.tx)
  // What follows is an invoice of its own; it does not turn a paid change into a declined one.
  if (next) await collectLater(deps, scope, next)
  return result.status === 'declined' ? result.code : null
}

/** The same for a step that is done whether or not its invoice is paid at once: without an answer, it is for later. */
export async function collectLater(deps: Deps, scope: Scope, payment: Payment): Promise<void> {
  try {
    await collect(deps, scope, payment)
  } catch (error) {
    const unanswered = isProblem(error) && error.code === billingErrors.payment_unavailable.code
    if (deps.provider.inProcess || !unanswered) throw error
    deps.runtime.logger.warn('a payment has no answer yet', { payment: payment.id, tenantId: payment.tenantId, error })
  }
}

/** How long a provider may take, in milliseconds: less than until `runDueWork` takes a payment for cut off. */
const chargeTimeout = 30 * 1000

/** One that hangs must not keep the scheduler from everybody else's renewals. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${chargeTimeout} ms`)), chargeTimeout)
  })
  try {
    return await Promise.race([answer, timeout])
  } finally {
    clearTimeout(timer)
  }
}

async function charge(deps: Deps, scope: Scope, payment: Payment): Promise<ChargeResult> {
  const customer = await deps.storage.read((stores) => stores.customers.get(payment.tenantId), scope.tx)
  if (!customer) throw new Error(`tenant ${payment.tenantId} has a payment but no customer`)
  const { idempotencyKey, amount, currency, tenantId, invoiceId, paymentMethod } = payment
  try {
    const asked = deps.provider.charge({
      idempotencyKey,
      amount,
      currency,
      tenantId,
      customerId: customer.id,
      paymentMethod,
      invoiceId,
      description: `Invoice ${invoiceId}`,
    })
    return await inTime(asked)
  } catch (cause) {
    if (isProblem(cause)) throw cause
    const detail = deps.provider.inProcess ? 'Nothing was changed.' : 'The payment is tried again by itself.'
    throw billingErrors.payment_unavailable({ detail, cause })
  }
}

/** The error for a payment that the caller waits for. */
export function declinedError(code: string, nothingChanged: boolean) {
  const detail = nothingChanged
    ? `The payment was declined (${code}) and nothing was changed. Use another payment method.`
    : `The payment was declined (${code}). The invoice stays open; use another payment method.`
  return billingErrors.payment_declined({ detail, extensions: { declineCode: code } })
}
