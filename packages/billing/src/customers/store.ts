import type { Customer } from './schema.js'

export interface CustomerStore {
  /** Null if it was written; the tenant's own if it has one, also one that was committed while we waited. */
  insertOrFind(customer: Customer): Promise<Customer | null>
  get(tenantId: string): Promise<Customer | null>
  /** Reads it and keeps others from changing it until the transaction ends. */
  lock(tenantId: string): Promise<Customer | null>
  update(customer: Customer): Promise<void>
}
