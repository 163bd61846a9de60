import type { Customer } from './schema.js'

export interface CustomerStore {
  /** False, and nothing written, if the tenant has one. */
  insert(customer: Customer): Promise<boolean>
  get(tenantId: string): Promise<Customer | null>
  /** Reads it and keeps others from changing it until the transaction ends. */
  lock(tenantId: string): Promise<Customer | null>
  update(customer: Customer): Promise<void>
}
