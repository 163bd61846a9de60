import type { Runtime } from '@org/core'
import type { Customer } from './schema.js'
import type { CustomerStore } from './store.js'

export function newCustomer(runtime: Runtime, tenantId: string): Customer {
  const now = runtime.clock.now()
  const id = runtime.id('cus')
  return { id, tenantId, email: null, name: null, paymentMethod: null, balance: 0, createdAt: now, updatedAt: now }
}

/** The tenant's customer, locked; made if there is none. */
export async function lockCustomer(runtime: Runtime, customers: CustomerStore, tenantId: string): Promise<Customer> {
  if (!(await customers.get(tenantId))) await customers.insertOrFind(newCustomer(runtime, tenantId))
  const customer = await customers.lock(tenantId)
  if (!customer) throw new Error(`the customer of tenant ${tenantId} vanished`)
  return customer
}
