import { type Route, route } from '@org/core'
import { CheckParams, EntitlementView, FeatureParams } from './schema.js'
import type { Entitlements } from './service.js'

export function entitlementRoutes(entitlements: Entitlements): Route[] {
  return [
    route({
      id: 'billing.checkEntitlement',
      method: 'GET',
      path: '/entitlements/:feature',
      summary: 'Whether the plan gives a feature or meter, and how much is left',
      description: 'Any member of the tenant may ask: pages show and hide by it.',
      can: 'authenticated',
      params: FeatureParams,
      query: CheckParams,
      response: EntitlementView,
      handler: ({ params: { feature }, query: { needed } }, ctx) =>
        entitlements.check(ctx.tenantId, feature, { needed, tx: ctx.tx }),
    }),
  ]
}
