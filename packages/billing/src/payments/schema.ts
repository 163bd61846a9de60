/** One attempt to have an invoice paid. It is written before the provider is asked, so that a crash in between heals. */
import { Time } from '@org/core'
import { z } from 'zod'

export const PaymentStatus = z.enum(['pending', 'succeeded', 'declined'])

export const Payment = z.object({
  id: z.string(),
  tenantId: z.string(),
  invoiceId: z.string(),
  /** 1 for the first; unique for an invoice. */
  attempt: z.int(),
  status: PaymentStatus,
  amount: z.int(),
  currency: z.string(),
  /** What it is charged to: asking again must not become another charge when the customer has a new one by then. */
  paymentMethod: z.string().nullable(),
  /** `charge:<invoice>:<attempt>`: the provider does it once, however often it is asked. */
  idempotencyKey: z.string(),
  /** The provider's own id of it. */
  reference: z.string().nullable(),
  /** Why it was declined, in the provider's words: `card_declined`. */
  declineCode: z.string().nullable(),
  createdAt: Time,
  settledAt: Time.nullable(),
})
export type Payment = z.infer<typeof Payment>
