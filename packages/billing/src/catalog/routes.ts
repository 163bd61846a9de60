import { pageOf, type Route, route } from '@org/core'
import type { Catalog } from './define.js'
import { PlanView } from './schema.js'

export function catalogRoutes(catalog: Catalog): Route[] {
  return [
    route({
      id: 'billing.listPlans',
      method: 'GET',
      path: '/plans',
      summary: 'List the plans, lowest rank first',
      can: ['read', 'billing'],
      response: pageOf(PlanView),
      handler: async () => ({
        data: Object.values(catalog.plans)
          .toSorted((a, b) => a.rank - b.rank)
          .map((plan) => ({
            ...plan,
            currency: catalog.currency,
            isDefault: plan.id === catalog.defaultPlan?.id,
          })),
        next: null,
      }),
    }),
  ]
}
