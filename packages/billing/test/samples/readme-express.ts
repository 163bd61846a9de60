/** The package's README on Express. */
import { createBilling, defineCatalog } from '@org/billing'
import { billingRouter, meterUsage, requireFeature } from '@org/billing/express'
import { knexStorage, migrate } from '@org/billing/knex'
import type { Express, Request } from 'express'
import type { Knex } from 'knex'
import { signedIn } from './sign-in.js'

export async function addBilling(app: Express, knex: Knex) {
  const catalog = defineCatalog({
    currency: 'usd',
    features: { reports: { type: 'boolean' } },
    meters: { requests: {} },
    plans: {
      free: { name: 'Free', rank: 0, meters: { requests: { included: 1000, limit: 'hard' } } },
      pro: {
        name: 'Pro',
        rank: 1,
        prices: { month: 2900 },
        features: { reports: true },
        meters: { requests: { included: 100_000, limit: 'hard' } },
      },
    },
    defaultPlan: 'free',
  })

  await migrate(knex)
  const billing = createBilling({ catalog, storage: knexStorage(knex) })

  // The one thing to tell it: who is asking, and what they may do. Null is nobody.
  const context = (req: Request) => signedIn(req.get('authorization'))

  app.use('/api/billing', billingRouter(billing, { context }))

  // Routes of your own: the plan decides who gets in, and each answer is counted.
  app.get('/reports', requireFeature(billing, 'reports', { context }), (_req, res) => {
    res.json({ reports: [] })
  })
  app.get('/translate', meterUsage(billing, 'requests', { context }), (_req, res) => {
    res.json({ text: 'Guten Tag' })
  })
  return billing
}
