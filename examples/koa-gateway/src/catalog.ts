/** What the gateway sells. Keys are typed from here on: `entitlements.check(tenant, 'ssoo')` does not compile. */
import { defineCatalog } from '@org/billing'

export const catalog = defineCatalog({
  currency: 'usd',
  features: { sso: { name: 'Single sign-on', type: 'boolean' } },
  meters: { requests: { name: 'API requests', unit: 'request' } },
  plans: {
    free: {
      name: 'Free',
      rank: 0,
      meters: { requests: { included: 3, limit: 'hard' } },
    },
    // Tiny on purpose, so that the demo meets the quota.
    starter: {
      name: 'Starter',
      rank: 1,
      prices: { month: 1900, year: 19000 },
      meters: { requests: { included: 10, limit: 'hard', alerts: [0.8] } },
    },
    pro: {
      name: 'Pro',
      rank: 2,
      prices: { month: 4900, year: 49000 },
      features: { sso: true },
      meters: {
        requests: {
          included: 10_000,
          limit: 'soft',
          price: { model: 'per_unit', unitAmount: 50, per: 1000 },
          alerts: [0.8],
        },
      },
    },
  },
  defaultPlan: 'free',
})
