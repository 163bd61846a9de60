import type { Slice } from '@org/core'
import type { Payment } from './schema.js'

export interface PaymentStore {
  insert(payment: Payment): Promise<void>
  /** The attempts at an invoice as they are at this moment, oldest first; the invoice is locked. */
  of(invoiceId: string): Promise<Payment[]>
  /** False if it is no longer pending. */
  settle(id: string, outcome: Pick<Payment, 'status' | 'reference' | 'declineCode' | 'settledAt'>): Promise<boolean>
  removeOf(invoiceId: string): Promise<void>
  /** Attempts without an answer that began before `before`. */
  pending(before: number, slice: Slice): Promise<Payment[]>
}
