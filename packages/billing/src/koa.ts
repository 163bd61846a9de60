/** `@org/billing/koa`: billing in a Koa 2 or 3 app. */

import type Router from '@koa/router'
import type { RouterOptions } from '@org/core'
import { type KoaGuardOptions, koaGuard, koaRouter } from '@org/core/koa'
import type { Context, Middleware } from 'koa'
import type { Billing } from './billing.js'
import type { Entitlements } from './entitlements/service.js'
import { billsSuccess, meterRequest } from './usage/meter-request.js'
import type { Usage } from './usage/service.js'

/** All of billing's routes: `parent.use('/api/billing', billingRouter(billing, { context }).routes())`. */
export function billingRouter(billing: Pick<Billing, 'http'>, options: RouterOptions<Context>): Router {
  return koaRouter(billing.http, options)
}

export interface RequireFeatureOptions extends KoaGuardOptions {
  /** How many units are about to be used, or of a static feature, how many there will be; 1 unless told. */
  needed?: number | ((ctx: Context) => number | Promise<number>)
}

/**
 * Lets a request pass if the tenant's plan gives the feature or has some of the meter left. It takes nothing.
 *
 * 402 `plan_required` if another plan gives it, 402 `payment_due`, 403 `feature_unavailable` if no plan on sale does,
 * 429 `quota_exceeded`.
 */
export function requireFeature<Feature extends string>(
  billing: { entitlements: Entitlements<Feature> } & Pick<Billing, 'http'>,
  feature: NoInfer<Feature>,
  { needed = 1, ...options }: RequireFeatureOptions,
): Middleware {
  const { logger } = billing.http.runtime
  return koaGuard({ ...options, logger }, async ({ context }, ctx) => {
    const units = typeof needed === 'function' ? await needed(ctx) : needed
    await billing.entitlements.require(context.tenantId, feature, { needed: units, tx: context.tx })
  })
}

export interface MeterUsageOptions extends KoaGuardOptions {
  /** Units that a request uses; 1 unless told. */
  quantity?: number | ((ctx: Context) => number | Promise<number>)
  /**
   * A key under which retries of a request count once. None unless told: an id that the client chooses would let it use
   * for nothing by sending the same one with every request, so answer only ids that your own gateway made.
   */
  idempotencyKey?: (ctx: Context) => string | undefined
  /** Whether a response with this status is billed; below 400 unless told. */
  bills?: (status: number) => boolean
}

/**
 * Counts the request before its handler runs, and takes it back when the response is not billed: a hard limit is exact
 * under any concurrency, and a failed request costs nothing. Sets `RateLimit` headers for hard limits.
 *
 * Refuses with 429 `quota_exceeded` and `Retry-After`, 402 or 403 as {@link requireFeature} does.
 */
export function meterUsage<Meter extends string>(
  billing: { usage: Usage<Meter> } & Pick<Billing, 'http'>,
  meter: NoInfer<Meter>,
  { quantity = 1, idempotencyKey, bills = billsSuccess, ...options }: MeterUsageOptions,
): Middleware {
  const { runtime } = billing.http
  const module = { usage: billing.usage as Usage, runtime }
  return koaGuard({ ...options, logger: runtime.logger }, async ({ context }, ctx) => {
    const units = typeof quantity === 'function' ? await quantity(ctx) : quantity
    return meterRequest(module, meter, context, ctx.res, {
      quantity: units,
      idempotencyKey: idempotencyKey?.(ctx),
      bills,
    })
  })
}
