/** Customers. */
import { checkScope, coreErrors, parse, type Scope, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import type { BillingStores } from '../storage/port.js'
import { newCustomer } from './ensure.js'
import { CreateCustomer, type Customer, CustomerView, UpdateCustomer } from './schema.js'

export interface Customers {
  /** @throws ProblemError `customer_exists` (409) if the tenant has one. */
  create(scope: Scope, input?: CreateCustomer): Promise<Customer>
  /** The tenant's customer, made with `input` if there is none; one that is there stays as it is. */
  ensure(scope: Scope, input?: CreateCustomer): Promise<Customer>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope): Promise<Customer>
  /** Changes the fields that are given; null clears one. @throws ProblemError `not_found`. */
  update(scope: Scope, input: UpdateCustomer): Promise<Customer>
}

export function createCustomers(deps: Deps): Customers {
  const { storage, runtime } = deps

  /** Makes it, or answers the one that is there. */
  async function insert(stores: BillingStores, scope: Scope, input: CreateCustomer, tx: Tx) {
    const customer = { ...newCustomer(runtime, scope.tenantId), ...given(input) }
    const there = await stores.customers.insertOrFind(customer)
    if (there) return { customer: there, made: false }
    await emit(scope, 'created', customer, tx)
    return { customer, made: true }
  }

  function emit(scope: Scope, what: 'created' | 'updated', after: Customer, tx: Tx, before?: Customer) {
    const { id, name, email } = after
    const data = { customerId: id, name, email }
    const change = { ...(before && { before: CustomerView.parse(before) }), after: CustomerView.parse(after) }
    return deps.emit(scope, { type: `customer.${what}`, data, resource: { type: 'customer', id }, ...change }, tx)
  }

  return {
    async create(scope, input = {}) {
      checkScope(scope)
      const wanted = parse(CreateCustomer, input)
      return storage.run(async (stores, tx) => {
        const { customer, made } = await insert(stores, scope, wanted, tx)
        if (made) return customer
        throw billingErrors.customer_exists({ detail: 'Change it with `customers.update`.' })
      }, scope.tx)
    },

    async ensure(scope, input = {}) {
      checkScope(scope)
      const wanted = parse(CreateCustomer, input)
      return storage.run(async (stores, tx) => {
        const there = await stores.customers.get(scope.tenantId)
        return there ?? (await insert(stores, scope, wanted, tx)).customer
      }, scope.tx)
    },

    async get(scope) {
      const { tenantId, tx } = checkScope(scope)
      return existing(await storage.read((stores) => stores.customers.get(tenantId), tx))
    },

    async update(scope, input) {
      checkScope(scope)
      const wanted = parse(UpdateCustomer, input)
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

function given(input: UpdateCustomer): Partial<Customer> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
}
