/** Why something is refused, as the error that a caller gets. */
import type { ProblemError } from '@org/core'
import type { Catalog } from '../catalog/define.js'
import type { Plan } from '../catalog/schema.js'
import { billingErrors } from '../errors.js'
import { rateLimitHeaders, secondsUntil } from './headers.js'
import type { Entitlement } from './schema.js'

/**
 * - 402 `payment_due`: an invoice is overdue beyond its grace.
 * - 402 `plan_required`: another plan that can be bought gives it; the problem's `plans` names them.
 * - 403 `feature_unavailable`: no plan that can be bought gives it.
 * - 429 `quota_exceeded`: the quota of the window is used up; `Retry-After` says when the next one begins.
 */
export function refusal(catalog: Catalog, refused: Entitlement, needed: number, now: number): ProblemError {
  const { feature, reason, limit, used, remaining, resetsAt } = refused
  const extensions = { feature, reason }
  if (reason === 'payment_due') {
    return billingErrors.payment_due({ detail: 'Pay the open invoices to go on.', extensions })
  }
  if (reason === 'quota_exceeded' && limit !== null && remaining !== null && resetsAt !== null) {
    const quota = { meter: feature, limit, remaining, resetsAt, windowStart: null }
    return billingErrors.quota_exceeded({
      detail: `${used} of ${limit} ${feature} are used in this period, and ${needed} more do not fit.`,
      extensions: { ...extensions, limit, used, remaining, resetsAt: new Date(resetsAt).toISOString() },
      headers: { ...rateLimitHeaders(quota, now), 'retry-after': String(secondsUntil(resetsAt, now)) },
    })
  }
  const plans = Object.values(catalog.plans).filter((plan) => sold(plan) && gives(plan, feature, needed))
  if (plans.length === 0) {
    return billingErrors.feature_unavailable({ detail: `No plan gives "${feature}" as asked.`, extensions })
  }
  const ids = plans.toSorted((a, b) => a.rank - b.rank).map((plan) => plan.id)
  const detail = `"${feature}" is part of: ${ids.join(', ')}.`
  return billingErrors.plan_required({ detail, extensions: { ...extensions, plans: ids } })
}

function sold(plan: Plan): boolean {
  return Object.keys(plan.prices).length > 0
}

function gives(plan: Plan, feature: string, needed: number): boolean {
  if (Object.hasOwn(plan.meters, feature)) return true
  const value = Object.hasOwn(plan.features, feature) ? plan.features[feature] : undefined
  return covers(value, needed)
}

/** A number gives as many; false, zero and the empty text give nothing; any other value gives it. */
export function covers(value: Plan['features'][string] | undefined, needed: number): boolean {
  return typeof value === 'number' ? value > 0 && value >= needed : Boolean(value)
}
