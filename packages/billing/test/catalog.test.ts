/** The catalog: what is refused points at the mistake, and wrong keys do not compile. */

import { type Billing, createBilling, defineCatalog, memoryStorage } from '@org/billing'
import { meterUsage, requireFeature } from '@org/billing/express'
import { requireFeature as koaRequire } from '@org/billing/koa'
import type { ProblemError } from '@org/core'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { billingOn, catalog } from './kit.js'

const base = {
  currency: 'usd',
  features: { sso: { type: 'boolean' }, projects: { type: 'static' } },
  meters: { requests: {} },
} as const

function errorsOf(make: () => unknown) {
  try {
    make()
  } catch (error) {
    return (error as ProblemError).errors
  }
  throw new Error('it was accepted')
}

describe('defineCatalog', () => {
  it('resolves shorthands', () => {
    const { plans, defaultPlan } = defineCatalog({
      ...base,
      plans: {
        free: { name: 'Free', rank: 0 },
        pro: {
          name: 'Pro',
          rank: 1,
          prices: { month: 100 },
          meters: { requests: { included: { month: 10, year: 'unlimited' }, limit: 'soft', alerts: [1, 0.5] } },
        },
      },
      defaultPlan: 'free',
    })
    expect(defaultPlan?.id).toBe('free')
    expect(plans.pro.meters.requests).toEqual({
      included: { month: 10, year: null },
      limit: 'soft',
      price: null,
      alerts: [0.5, 1],
    })
  })

  it('points at each mistake and says how to mend it', () => {
    const define = defineCatalog as (definition: unknown) => unknown
    const plan = {
      name: 'Pro',
      rank: 1,
      features: { sos: true, sso: 3 },
      meters: { request: { included: 1, limit: 'hard' } },
    }
    expect(errorsOf(() => define({ ...base, plans: { pro: plan }, defaultPlan: 'fre' }))).toEqual([
      { pointer: '/defaultPlan', detail: 'unknown plan "fre"; declared plans: pro' },
      { pointer: '/plans/pro/features/sos', detail: 'unknown feature; declare it in `features`: sso, projects' },
      { pointer: '/plans/pro/features/sso', detail: expect.stringContaining('declare it as `static`') },
      { pointer: '/plans/pro/meters/request', detail: 'unknown meter; declare it in `meters`: requests' },
    ])
    expect(errorsOf(() => define({ ...base, meters: { sso: {} }, plans: { pro: { name: 'P', rank: 0 } } }))).toEqual([
      { pointer: '/meters/sso', detail: expect.stringContaining('rename one of them') },
    ])
    const priced = { included: 1, limit: 'hard', price: { model: 'flat', amount: 1 } }
    expect(
      errorsOf(() => define({ ...base, plans: { pro: { name: 'P', rank: 0, meters: { requests: priced } } } })),
    ).toEqual([{ pointer: '/plans/pro/meters/requests/price', detail: expect.stringContaining("`limit: 'soft'`") }])
    // Nobody subscribes to it, so that nobody would be billed.
    const unsold = { name: 'P', rank: 0, meters: { requests: { ...priced, limit: 'soft' } } }
    expect(errorsOf(() => define({ ...base, plans: { pro: unsold } }))).toEqual([
      { pointer: '/plans/pro/meters/requests/price', detail: expect.stringContaining('without `prices`') },
    ])
    expect(errorsOf(() => define({ ...base, currency: 'USD', plans: {} }))?.[0]?.pointer).toBe('/currency')
    expect(errorsOf(() => define({ ...base, plans: {} }))?.[0]?.pointer).toBe('/plans')
    const typo = { name: 'P', rank: 0, price: 5 }
    expect(errorsOf(() => define({ ...base, plans: { pro: typo } }))).toEqual([
      { pointer: '/plans/pro/price', detail: 'unknown field' },
    ])
    expect(
      errorsOf(() => define({ ...base, plans: { pro: { name: 'P', rank: 0, prices: { month: 9.5 } } } }))?.[0]?.pointer,
    ).toBe('/plans/pro/prices/month')
  })

  it('knows no plan by a name that every object has', async () => {
    const { billing } = billingOn(memoryStorage())
    for (const plan of ['constructor', '__proto__', 'toString']) {
      await expect(billing.subscriptions.create({ tenantId: 't' }, { plan: plan as 'pro' })).rejects.toMatchObject({
        code: 'invalid_input',
        errors: [{ pointer: '/plan', detail: expect.stringContaining('known values: free, starter, pro, scale') }],
      })
    }
  })
})

describe('types', () => {
  it('infers plan, feature and meter keys', () => {
    const billing = createBilling({ catalog, storage: memoryStorage() })
    expectTypeOf(billing).toEqualTypeOf<
      Billing<
        'free' | 'starter' | 'pro' | 'scale',
        'sso' | 'projects' | 'support' | 'moon',
        'requests' | 'emails' | 'exports'
      >
    >()
    const context = () => null
    const compiles = () => {
      void billing.entitlements.check('t', 'sso')
      void billing.entitlements.check('t', 'requests')
      void billing.usage.record({ tenantId: 't', meter: 'emails' })
      void billing.subscriptions.create({ tenantId: 't' }, { plan: 'pro' })
      requireFeature(billing, 'sso', { context })
      requireFeature(billing, 'requests', { context })
      koaRequire(billing, 'sso', { context })
      meterUsage(billing, 'requests', { context })
      // @ts-expect-error a feature that is not declared
      void billing.entitlements.check('t', 'sos')
      // @ts-expect-error a meter that is not declared
      void billing.usage.record({ tenantId: 't', meter: 'request' })
      // @ts-expect-error a feature is no meter
      void billing.usage.record({ tenantId: 't', meter: 'sso' })
      // @ts-expect-error a plan that is not declared
      void billing.subscriptions.create({ tenantId: 't' }, { plan: 'gold' })
      // @ts-expect-error a plan that is not declared
      void billing.subscriptions.change({ tenantId: 't' }, 'sub', { plan: 'gold' })
      // @ts-expect-error a feature that is not declared
      requireFeature(billing, 'sos', { context })
      // @ts-expect-error a feature that is not declared
      koaRequire(billing, 'sos', { context })
      // @ts-expect-error a meter that is not declared
      meterUsage(billing, 'sso', { context })
      // @ts-expect-error no context
      meterUsage(billing, 'requests', {})
    }
    const declares = () => {
      const plan = { name: 'P', rank: 0 }
      // @ts-expect-error a feature that is not declared
      defineCatalog({ ...base, plans: { pro: { ...plan, features: { sos: true } } } })
      // @ts-expect-error a boolean feature has no number
      defineCatalog({ ...base, plans: { pro: { ...plan, features: { sso: 5 } } } })
      // @ts-expect-error a meter that is not declared
      defineCatalog({ ...base, plans: { pro: { ...plan, meters: { request: { included: 1, limit: 'hard' } } } } })
      // @ts-expect-error a plan that is not declared
      defineCatalog({ ...base, plans: { pro: plan }, defaultPlan: 'free' })
    }
    expect([typeof compiles, typeof declares]).toEqual(['function', 'function'])
  })
})
