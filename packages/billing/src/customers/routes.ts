import { coreErrors, type Route, route } from '@org/core'
import { CustomerView, UpdateCustomer } from './schema.js'
import type { Customers } from './service.js'

export function customerRoutes(customers: Customers): Route[] {
  return [
    route({
      id: 'billing.getCustomer',
      method: 'GET',
      path: '/customer',
      summary: 'Who pays for the tenant',
      description: 'Not found until one was made: by hand, by the first change, or with the first subscription.',
      can: ['read', 'billing'],
      response: CustomerView,
      errors: [coreErrors.not_found],
      handler: (_, ctx) => customers.get(ctx),
    }),
    route({
      id: 'billing.updateCustomer',
      method: 'PATCH',
      path: '/customer',
      summary: 'Change the billing address or the payment method',
      can: ['update', 'billing'],
      body: UpdateCustomer,
      response: CustomerView,
      handler: async ({ body }, ctx) => {
        await customers.ensure(ctx)
        return customers.update(ctx, body)
      },
    }),
  ]
}
