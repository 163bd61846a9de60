import { type Route, route } from '@org/core'
import { z } from 'zod'
import { EntitlementView } from './schema.js'
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
      params: z.object({ feature: z.string() }),
      query: z.strictObject({ needed: z.coerce.number().int().min(0).optional() }),
      response: EntitlementView,
      handler: ({ params, query }, ctx) =>
        entitlements.check(ctx.tenantId, params.feature, { needed: query.needed, tx: ctx.tx }),
    }),
  ]
}
