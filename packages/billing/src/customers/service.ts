/** Customers. */
import { coreErrors, parse, type Scope, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import type { BillingStores } from '../storage/port.js'
import { newCustomer } from './ensure.js'
import { type Customer, CustomerInput } from './schema.js'

export interface Customers {
  /** @throws ProblemError `customer_exists` (409) if the tenant has one. */
  create(scope: Scope, input?: CustomerInput): Promise<Customer>
  /** The tenant's customer, made with `input` if there is none; one that is there stays as it is. */
  ensure(scope: Scope, input?: CustomerInput): Promise<Customer>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope): Promise<Customer>
  /** Changes the fields that are given; null clears one. @throws ProblemError `not_found`. */
  update(scope: Scope, input: CustomerInput): Promise<Customer>
}

export function createCustomers(deps: Deps): Customers {
  const { storage, runtime } = deps

  async function insert(stores: BillingStores, scope: Scope, input: CustomerInput, tx: Tx): Promise<Customer | null> {
    const customer = { ...newCustomer(runtime, scope.tenantId), ...given(input) }
    if (!(await stores.customers.insert(customer))) return null
    await emit(scope, 'created', customer, tx)
    return customer
  }

  function emit(scope: Scope, what: 'created' | 'updated', after: Customer, tx: Tx, before?: Customer) {
    const resource = { type: 'customer', id: after.id }
    const change = { ...(before && { before: snapshot(before) }), after: snapshot(after) }
    return deps.emit(scope, { type: `customer.${what}`, data: snapshot(after), resource, ...change }, tx)
  }

  return {
    create(scope, input = {}) {
      const wanted = parse(CustomerInput, input)
      return storage.run(async (stores, tx) => {
        const customer = await insert(stores, scope, wanted, tx)
        if (customer) return customer
        throw billingErrors.customer_exists({ detail: 'Change it with `customers.update`.' })
      }, scope.tx)
    },

    ensure(scope, input = {}) {
      const wanted = parse(CustomerInput, input)
      return storage.run(async (stores, tx) => {
        const there = await stores.customers.get(scope.tenantId)
        const customer = there ?? (await insert(stores, scope, wanted, tx))
        // Somebody else's was first: a locking read sees it in every isolation level.
        return customer ?? existing(await stores.customers.lock(scope.tenantId))
      }, scope.tx)
    },

    async get(scope) {
      return existing(await storage.read((stores) => stores.customers.get(scope.tenantId), scope.tx))
    },

    update(scope, input) {
      const wanted = parse(CustomerInput, input)
      return storage.run(async (stores, tx) => {
        const before = existing(await stores.customers.lock(scope.tenantId))
        const after = { ...before, ...given(wanted), updatedAt: runtime.clock.now() }
        await stores.customers.update(after)
        await emit(scope, 'updated', after, tx, before)
        return after
      }, scope.tx)
    },
  }
}

function existing(customer: Customer | null): Customer {
  if (customer) return customer
  throw coreErrors.not_found({ detail: 'The tenant has no customer; `customers.create` or a subscription makes one.' })
}

function given(input: CustomerInput): Partial<Customer> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
}

function snapshot({ id, email, name, paymentMethod, balance }: Customer): Record<string, unknown> {
  return { customerId: id, email, name, paymentMethod, balance }
}
