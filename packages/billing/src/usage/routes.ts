import { type Route, route } from '@org/core'
import { billingErrors } from '../errors.js'
import { RecordUsageParams, UsageRecordView, UsageSummaryView } from './schema.js'
import type { Usage } from './service.js'

export function usageRoutes(usage: Usage): Route[] {
  return [
    route({
      id: 'billing.getUsage',
      method: 'GET',
      path: '/usage',
      summary: 'What was used in the current window, meter by meter',
      can: ['read', 'billing'],
      response: UsageSummaryView,
      handler: (_, ctx) => usage.summary(ctx),
    }),
    route({
      id: 'billing.recordUsage',
      method: 'POST',
      path: '/usage',
      summary: 'Record a use of a meter',
      description: 'For services of the seller’s own, and for whoever may create `billing`.',
      can: ['create', 'billing'],
      body: RecordUsageParams,
      status: 201,
      idempotent: true,
      response: UsageRecordView,
      errors: [
        billingErrors.quota_exceeded,
        billingErrors.plan_required,
        billingErrors.payment_due,
        billingErrors.feature_unavailable,
      ],
      handler: ({ body }, ctx) => usage.record({ tenantId: ctx.tenantId, ...body }, { tx: ctx.tx }),
    }),
  ]
}
