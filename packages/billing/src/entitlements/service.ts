/** `entitlements.check`: whether a tenant may use a feature, and how much is left. */
import { checkScope, parse, type Tx, unknownValue } from '@org/core'
import type { MeterTerms } from '../catalog/schema.js'
import type { Deps } from '../deps.js'
import { mainSlot } from '../subscriptions/schema.js'
import { type Standing, standingAt } from '../subscriptions/standing.js'
import { covers, refusal } from './refusal.js'
import { type Entitlement, type EntitlementReason, Needed } from './schema.js'

export interface CheckOptions {
  /** How many units are about to be used (a meter), or how many there will be (a static number); 1 unless told. */
  needed?: number | undefined
  /** The host's transaction: what it recorded so far is counted. */
  tx?: Tx | undefined
}

/** `entitlements` of a module; `Feature` are the catalog's features and meters. */
export interface Entitlements<Feature extends string = string> {
  /**
   * Whether the tenant's plan gives a feature: boolean, static or metered. It holds for this moment and takes nothing;
   * `usage.record` takes, and refuses by itself.
   *
   * @throws ProblemError `invalid_input` for a feature that is not in the catalog.
   */
  check(tenantId: string, feature: Feature, options?: CheckOptions): Promise<Entitlement>
  /**
   * The same, as an error when it is not allowed.
   *
   * @throws ProblemError `plan_required`, `payment_due` (402), `feature_unavailable` (403), `quota_exceeded` (429).
   */
  require(tenantId: string, feature: Feature, options?: CheckOptions): Promise<Entitlement>
}

export function createEntitlements(deps: Deps): Entitlements {
  const { catalog, storage, runtime } = deps
  const isFeature = (name: string) => Object.hasOwn(catalog.features, name)
  const isMeter = (name: string) => Object.hasOwn(catalog.meters, name)

  const service: Entitlements = {
    async check(tenantId, feature, { needed: asked, tx } = {}) {
      checkScope({ tenantId })
      const needed = parse(Needed, asked, '/needed')
      if (!isFeature(feature) && !isMeter(feature)) {
        throw unknownValue('/feature', feature, [...Object.keys(catalog.features), ...Object.keys(catalog.meters)])
      }
      return storage.read(async (stores) => {
        const subscription = await stores.subscriptions.live(tenantId, mainSlot)
        const standing = standingAt(catalog, subscription, runtime.clock.now(), deps.gracePeriodMs)
        if (isFeature(feature)) return featureOf(standing, feature, needed)
        const windowStart = standing.window.start
        const key = { tenantId, holder: standing.holder, meter: feature, windowStart }
        const used = (await stores.usage.counter(key))?.used ?? 0
        return meterOf(standing, feature, used, needed)
      }, tx)
    },

    async require(tenantId, feature, options = {}) {
      const found = await service.check(tenantId, feature, options)
      if (found.allowed) return found
      throw refusal(catalog, found, parse(Needed, options.needed), runtime.clock.now())
    },
  }
  return service
}

function featureOf(standing: Standing, feature: string, needed: number): Entitlement {
  const { plan, paymentDue } = standing
  const value = (plan && Object.hasOwn(plan.features, feature) && plan.features[feature]) || null
  const limit = typeof value === 'number' ? value : null
  const reason = ((): EntitlementReason => {
    if (!plan) return 'no_plan'
    if (value === null) return 'not_in_plan'
    if (paymentDue) return 'payment_due'
    return covers(value, needed) ? 'included' : 'limit_reached'
  })()
  return { feature, allowed: reason === 'included', value, limit, used: null, remaining: null, resetsAt: null, reason }
}

/** What a standing and a counter say about `needed` more units of a meter. */
export function meterOf(standing: Standing, meter: string, used: number, needed: number): Entitlement {
  const terms = termsOf(standing, meter)
  const limit = terms ? terms.included[standing.interval] : null
  const fits = limit === null || used + needed <= limit
  const reason = ((): EntitlementReason => {
    if (!standing.plan) return 'no_plan'
    if (!terms) return 'not_in_plan'
    if (standing.paymentDue) return 'payment_due'
    if (fits) return 'included'
    return terms.limit === 'soft' ? 'overage' : 'quota_exceeded'
  })()
  return {
    feature: meter,
    allowed: reason === 'included' || reason === 'overage',
    value: null,
    limit,
    used,
    remaining: limit === null ? null : Math.max(0, limit - used),
    resetsAt: standing.window.end,
    reason,
  }
}

/** What the plan says about a meter; null if it does not have it. */
export function termsOf({ plan }: Standing, meter: string): MeterTerms | null {
  return (plan && Object.hasOwn(plan.meters, meter) && plan.meters[meter]) || null
}
