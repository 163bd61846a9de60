/** Who takes the money: the port that each payment provider fills. */

export interface ChargeRequest {
  /** The same key always stands for the same charge: a provider takes the money once and answers the same again. */
  idempotencyKey: string
  /** Minor units; more than zero. */
  amount: number
  /** ISO 4217, lower case. */
  currency: string
  tenantId: string
  customerId: string
  /** The customer's payment method at this provider when the charge was first asked for; null for none. */
  paymentMethod: string | null
  invoiceId: string
  description: string
}

export type ChargeResult =
  | { status: 'succeeded'; reference: string }
  /** `code` is for programs, such as `card_declined` or `insufficient_funds`. */
  | { status: 'declined'; code: string; reference: string | null }

/**
 * A provider decides about charges and keeps no state of ours. Over a network `charge` is called outside of every
 * transaction, and may be called again after a crash. It answers what became of the money, and throws only if it does
 * not know: the payment then stays pending and `runDueWork` asks again with the same key. After 30 seconds without an
 * answer it counts as not knowing.
 */
export interface PaymentProvider {
  /** `local`, `stripe`. */
  readonly name: string
  /**
   * Whether `charge` is decided within this process, without a network call. Only then may it run inside of a host's
   * transaction.
   */
  readonly inProcess: boolean
  charge(request: ChargeRequest): Promise<ChargeResult>
}
