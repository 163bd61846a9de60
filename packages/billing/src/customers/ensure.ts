import { ExternalId, parse, type Runtime } from '@org/core'
import type { Customer } from './schema.js'
import type { CustomerStore } from './store.js'

/** @throws ProblemError `invalid_input` for a tenant id that is none. */
export function newCustomer(runtime: Runtime, tenantId: string): Customer {
  parse(ExternalId, tenantId, '/tenantId')
  const now = runtime.clock.now()
  const id = runtime.id('cus')
  return { id, tenantId, email: null, name: null, paymentMethod: null, balance: 0, createdAt: now, updatedAt: now }
}

/** The tenant's customer, locked; made if there is none. */
export async function lockCustomer(runtime: Runtime, customers: CustomerStore, tenantId: string): Promise<Customer> {
  if (!(await customers.get(tenantId))) await customers.insert(newCustomer(runtime, tenantId))
  const customer = await customers.lock(tenantId)
  if (!customer) throw new Error(`the customer of tenant ${tenantId} vanished`)
  return customer
}
