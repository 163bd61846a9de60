import { defineCatalog } from '@org/billing'

export const catalog = defineCatalog({
  currency: 'usd',
  features: {
    sso: { name: 'Single sign-on', type: 'boolean' },
    projects: { name: 'Projects', type: 'static' },
  },
  meters: { requests: { name: 'API requests', unit: 'request' } },
  plans: {
    free: {
      name: 'Free',
      rank: 0,
      features: { projects: 1 },
      meters: { requests: { included: 1000, limit: 'hard', alerts: [0.8] } },
    },
    pro: {
      name: 'Pro',
      rank: 1,
      prices: { month: 2900, year: 29_000 },
      features: { sso: true, projects: 20 },
      meters: {
        requests: {
          included: { month: 100_000, year: 1_200_000 },
          limit: 'soft',
          price: { model: 'per_unit', unitAmount: 50, per: 1000 },
          alerts: [0.8, 1],
        },
      },
    },
  },
  defaultPlan: 'free',
})
