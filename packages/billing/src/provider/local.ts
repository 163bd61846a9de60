/** The provider that needs nothing: no account, no network, no credentials. */
import type { ChargeRequest, PaymentProvider } from './port.js'

export interface LocalProviderOptions {
  /**
   * Decides a charge: `true` to pay it, or the code that it is declined with. It must decide alike each time it is asked
   * with the same idempotency key. Unless told, the customer's payment method decides: one that begins with
   * `pm_declined` is declined, with what follows as the code (`pm_declined_insufficient_funds`; `pm_declined` alone is
   * `card_declined`), and anything else pays, no payment method included.
   */
  decide?: (charge: ChargeRequest) => true | string
}

/** Pays or declines at once, always the same way for the same customer. For the life without a payment provider. */
export function localProvider({ decide = byPaymentMethod }: LocalProviderOptions = {}): PaymentProvider {
  return {
    name: 'local',
    inProcess: true,
    async charge(request) {
      const verdict = decide(request)
      const reference = `local_${request.idempotencyKey.replaceAll(':', '_')}`
      return verdict === true ? { status: 'succeeded', reference } : { status: 'declined', code: verdict, reference }
    },
  }
}

function byPaymentMethod({ paymentMethod }: ChargeRequest): true | string {
  const declined = /^pm_declined(?:_(.+))?$/.exec(paymentMethod ?? '')
  return declined ? (declined[1] ?? 'card_declined') : true
}
