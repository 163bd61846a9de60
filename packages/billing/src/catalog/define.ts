/** `defineCatalog`: checked once, typed by its keys from then on. */
import { coreErrors, type FieldError, parse, unknownValue } from '@org/core'
import type { z } from 'zod'
import {
  CatalogDefinition,
  type FeatureDefinition,
  type FeatureValue,
  type Interval,
  type MeterDefinition,
  type MeterTerms,
  type Plan,
  type PlanDefinition,
  type PlanMeter,
} from './schema.js'

type Features = Record<string, FeatureDefinition>
type Meters = Record<string, MeterDefinition>
type ValueOf<F extends FeatureDefinition> = F['type'] extends 'boolean' ? boolean : FeatureValue

type PlanOf<F extends Features, M extends Meters> = Omit<z.input<typeof PlanDefinition>, 'features' | 'meters'> & {
  features?: { [K in keyof F]?: ValueOf<F[K]> }
  meters?: { [K in keyof M]?: PlanMeter }
}

/** A checked catalog. Its type parameters are the keys that calls may use. */
export interface Catalog<
  PlanId extends string = string,
  Feature extends string = string,
  Meter extends string = string,
> {
  /** ISO 4217, lower case. */
  readonly currency: string
  /** What a tenant without a subscription has; null for nothing. */
  readonly defaultPlan: Plan | null
  readonly plans: Readonly<Record<PlanId, Plan>>
  readonly features: Readonly<Record<Feature, FeatureDefinition>>
  readonly meters: Readonly<Record<Meter, MeterDefinition>>
}

/**
 * Declares what is sold. Keys are inferred: a plan, feature or meter that is not declared does not compile where one
 * is asked for.
 *
 * ```ts
 * const catalog = defineCatalog({
 *   currency: 'usd',
 *   features: { sso: { type: 'boolean' }, projects: { type: 'static' } },
 *   meters: { requests: { name: 'API requests' } },
 *   plans: {
 *     free: { name: 'Free', rank: 0, features: { projects: 1 }, meters: { requests: { included: 1000, limit: 'hard' } } },
 *     pro: {
 *       name: 'Pro', rank: 1, prices: { month: 2900, year: 29000 }, features: { sso: true, projects: 20 },
 *       meters: { requests: { included: 100_000, limit: 'soft', price: { model: 'per_unit', unitAmount: 50, per: 1000 }, alerts: [0.8] } },
 *     },
 *   },
 *   defaultPlan: 'free',
 * })
 * ```
 *
 * @throws ProblemError `invalid_input` with a JSON pointer to each mistake and how to mend it.
 */
export function defineCatalog<const F extends Features, const M extends Meters, PlanId extends string>(definition: {
  currency: string
  features: F
  meters: M
  plans: Record<PlanId, PlanOf<NoInfer<F>, NoInfer<M>>>
  defaultPlan?: NoInfer<PlanId>
}): Catalog<PlanId, keyof F & string, keyof M & string> {
  const checked = parse(CatalogDefinition, definition)
  const errors = [...collisions(checked), ...mistakes(checked)]
  if (errors.length > 0) throw coreErrors.invalid_input({ errors })
  const plans = Object.fromEntries(Object.entries(checked.plans).map(([id, plan]) => [id, toPlan(id, plan)]))
  return {
    currency: checked.currency,
    defaultPlan: (checked.defaultPlan !== undefined && plans[checked.defaultPlan]) || null,
    plans: plans as Record<PlanId, Plan>,
    features: checked.features as Record<keyof F & string, FeatureDefinition>,
    meters: checked.meters as Record<keyof M & string, MeterDefinition>,
  }
}

type Checked = z.output<typeof CatalogDefinition>

function collisions({ features, meters }: Checked): FieldError[] {
  return Object.keys(meters)
    .filter((key) => Object.hasOwn(features, key))
    .map((key) => ({
      pointer: `/meters/${key}`,
      detail: `"${key}" is also a feature, and entitlements.check takes both; rename one of them`,
    }))
}

function mistakes({ plans, features, meters, defaultPlan }: Checked): FieldError[] {
  const known = (names: object) => Object.keys(names).join(', ') || 'none'
  const errors: FieldError[] = []
  if (Object.keys(plans).length === 0) errors.push({ pointer: '/plans', detail: 'declare at least one plan' })
  if (defaultPlan !== undefined && !Object.hasOwn(plans, defaultPlan)) {
    errors.push({ pointer: '/defaultPlan', detail: `unknown plan "${defaultPlan}"; declared plans: ${known(plans)}` })
  }
  for (const [id, plan] of Object.entries(plans)) {
    for (const [key, value] of Object.entries(plan.features)) {
      const pointer = `/plans/${id}/features/${key}`
      const type = Object.hasOwn(features, key) ? features[key]?.type : undefined
      if (!type) errors.push({ pointer, detail: `unknown feature; declare it in \`features\`: ${known(features)}` })
      if (type === 'boolean' && typeof value !== 'boolean') {
        errors.push({
          pointer,
          detail: 'a boolean feature is true or false; declare it as `static` to give it a value',
        })
      }
    }
    for (const [key, meter] of Object.entries(plan.meters)) {
      if (meter.price !== undefined && Object.keys(plan.prices).length === 0) {
        errors.push({
          pointer: `/plans/${id}/meters/${key}/price`,
          detail: 'nobody subscribes to a plan without `prices`, so that nobody would be billed; use a hard limit',
        })
      }
      if (Object.hasOwn(meters, key)) continue
      errors.push({
        pointer: `/plans/${id}/meters/${key}`,
        detail: `unknown meter; declare it in \`meters\`: ${known(meters)}`,
      })
    }
  }
  return errors
}

function toPlan(id: string, plan: z.output<typeof PlanDefinition>): Plan {
  const prices: Plan['prices'] = {}
  for (const interval of ['month', 'year'] as const) {
    const price = plan.prices[interval]
    if (price !== undefined) prices[interval] = price
  }
  const meters = Object.entries(plan.meters).map(([key, meter]): [string, MeterTerms] => {
    const { included, limit, price = null, alerts } = meter
    const units = typeof included === 'object' ? included : { month: included, year: included }
    const count = (interval: Interval) => (units[interval] === 'unlimited' ? null : units[interval])
    return [
      key,
      {
        included: { month: count('month'), year: count('year') },
        limit,
        price,
        alerts: alerts.toSorted((a, b) => a - b),
      },
    ]
  })
  const { name, description = null, rank, features } = plan
  return { id, name, description, rank, prices, features, meters: Object.fromEntries(meters) }
}

/** The plan that a caller named. @throws ProblemError `invalid_input` with the plans that there are. */
export function planNamed(catalog: Catalog, id: string, pointer = '/plan'): Plan {
  const plan = Object.hasOwn(catalog.plans, id) ? catalog.plans[id] : undefined
  if (plan) return plan
  throw unknownValue(pointer, id, Object.keys(catalog.plans))
}

/** The plan that a row names. @throws ProblemError `setup_error` if the host has dropped it. */
export function planOfRow(catalog: Catalog, row: { id: string; plan: string }): Plan {
  const plan = Object.hasOwn(catalog.plans, row.plan) ? catalog.plans[row.plan] : undefined
  if (plan) return plan
  throw coreErrors.setup_error({
    detail: `Subscription ${row.id} is on the plan "${row.plan}", which the catalog no longer declares; put it back.`,
  })
}

/** What a plan costs. @throws ProblemError `invalid_input` if it is not sold at that interval. */
export function priceOf(plan: Plan, interval: Interval): number {
  const price = plan.prices[interval]
  if (price !== undefined) return price
  const sold = Object.keys(plan.prices)
  if (sold.length > 0) throw unknownValue('/interval', interval, sold)
  const detail = `the plan "${plan.id}" has no price and cannot be subscribed to; cancel a subscription to go back to it`
  throw coreErrors.invalid_input({ errors: [{ pointer: '/plan', detail }] })
}
