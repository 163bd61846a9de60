import { IdParams, pageOf, type Route, route } from '@org/core'
import { billingErrors } from '../errors.js'
import {
  CancelSubscription,
  ChangePreviewView,
  ChangeSubscription,
  CreateSubscription,
  CurrentSubscriptionView,
  SubscriptionQuery,
  SubscriptionView,
} from './schema.js'
import type { Subscriptions } from './service.js'

const step = [
  billingErrors.subscription_ended,
  billingErrors.subscription_incomplete,
  billingErrors.payment_in_progress,
]
const changing = [...step, billingErrors.no_change, billingErrors.cancellation_scheduled, billingErrors.payment_due]
const paying = [billingErrors.payment_declined, billingErrors.payment_unavailable]
/** A period that is over is billed before anything else: its decline is no error of the step, a silent provider is. */
const ending = [...step, billingErrors.payment_unavailable]

/**
 * A key's answer is kept in one transaction with the work, in which no provider may be asked over the network: there the
 * routes take no `Idempotency-Key` (`oneTransaction` is false). Sent twice, they answer `subscription_exists`,
 * `no_change` or `payment_in_progress`, and charge once.
 */
export function subscriptionRoutes(subscriptions: Subscriptions, oneTransaction: boolean): Route[] {
  return [
    route({
      id: 'billing.getCurrentSubscription',
      method: 'GET',
      path: '/subscription',
      summary: 'The live subscription; null on the default plan',
      can: ['read', 'billing'],
      response: CurrentSubscriptionView,
      handler: async (_, ctx) => ({ subscription: await subscriptions.current(ctx) }),
    }),
    route({
      id: 'billing.listSubscriptions',
      method: 'GET',
      path: '/subscriptions',
      summary: 'List subscriptions, the newest first',
      can: ['read', 'billing'],
      query: SubscriptionQuery,
      response: pageOf(SubscriptionView),
      handler: ({ query }, ctx) => subscriptions.list(ctx, query),
    }),
    route({
      id: 'billing.createSubscription',
      method: 'POST',
      path: '/subscriptions',
      summary: 'Subscribe to a plan',
      can: ['create', 'billing'],
      body: CreateSubscription,
      status: 201,
      idempotent: oneTransaction,
      response: SubscriptionView,
      errors: [billingErrors.subscription_exists, ...paying],
      handler: ({ body }, ctx) => subscriptions.create(ctx, body),
    }),
    route({
      id: 'billing.getSubscription',
      method: 'GET',
      path: '/subscriptions/:id',
      summary: 'Show a subscription',
      can: ['read', 'billing'],
      params: IdParams,
      response: SubscriptionView,
      handler: ({ params: { id } }, ctx) => subscriptions.get(ctx, id),
    }),
    route({
      id: 'billing.previewChange',
      method: 'POST',
      path: '/subscriptions/:id/preview',
      summary: 'What a change would do and cost at this moment',
      can: ['read', 'billing'],
      params: IdParams,
      body: ChangeSubscription,
      response: ChangePreviewView,
      errors: [...changing, billingErrors.renewal_due],
      handler: ({ params: { id }, body }, ctx) => subscriptions.previewChange(ctx, id, body),
    }),
    route({
      id: 'billing.changeSubscription',
      method: 'POST',
      path: '/subscriptions/:id/change',
      summary: 'Change the plan or the interval',
      description:
        'Up, or to another interval: now, prorated. Down: when the period ends. To the present plan: undone.',
      can: ['update', 'billing'],
      params: IdParams,
      body: ChangeSubscription,
      idempotent: oneTransaction,
      response: SubscriptionView,
      errors: [...changing, ...paying],
      handler: ({ params: { id }, body }, ctx) => subscriptions.change(ctx, id, body),
    }),
    route({
      id: 'billing.cancelSubscription',
      method: 'POST',
      path: '/subscriptions/:id/cancel',
      summary: 'End it when the paid period ends, or now',
      can: ['update', 'billing'],
      params: IdParams,
      body: CancelSubscription.optional(),
      response: SubscriptionView,
      errors: [...ending, billingErrors.no_change],
      handler: ({ params: { id }, body }, ctx) => subscriptions.cancel(ctx, id, body),
    }),
    route({
      id: 'billing.resumeSubscription',
      method: 'POST',
      path: '/subscriptions/:id/resume',
      summary: 'Take a scheduled cancellation or change back',
      can: ['update', 'billing'],
      params: IdParams,
      response: SubscriptionView,
      errors: [...ending, billingErrors.not_canceling],
      handler: ({ params: { id } }, ctx) => subscriptions.resume(ctx, id),
    }),
  ]
}
