import type { Slice } from '@org/core'
import type { Invoice, InvoiceStatus } from './schema.js'

export interface InvoiceFilter {
  status?: InvoiceStatus | undefined
  subscriptionId?: string | undefined
}

export interface InvoiceStore {
  /** False, and nothing written, if its period has been billed. */
  insert(invoice: Invoice): Promise<boolean>
  get(tenantId: string, id: string): Promise<Invoice | null>
  /** Reads it and keeps others from changing it until the transaction ends. */
  lock(tenantId: string, id: string): Promise<Invoice | null>
  update(invoice: Invoice): Promise<void>
  remove(id: string): Promise<void>
  list(tenantId: string, filter: InvoiceFilter, slice: Slice): Promise<Invoice[]>
  /** The ids of the open ones of a subscription, as they are at this moment; the subscription is locked. */
  openOf(subscriptionId: string): Promise<string[]>
  /** All of them, by id, for a check of the books. */
  scan(slice: Slice): Promise<Invoice[]>
  /** The next number of a sequence without gaps: others wait for it until the transaction ends. */
  nextNumber(sequence: string): Promise<number>
  /** The last number given, and how many invoices hold one. */
  numbering(sequence: string): Promise<{ last: number; numbered: number }>
}
