import { createBilling } from '@org/billing'
import { billingRouter, meterUsage, requireFeature } from '@org/billing/express'
import { knexStorage, migrate } from '@org/billing/knex'
import express, { type Express, type Request } from 'express'
import type { Knex } from 'knex'
import { catalog } from './catalog.js'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<Express> {
  await migrate(knex)
  const billing = createBilling({ catalog, storage: knexStorage(knex) })

  // The one thing to tell it: who is asking, and what they may do. Null is nobody.
  const context = (req: Request) => signedIn(req.get('authorization'))

  const app = express()
  app.use('/api/billing', billingRouter(billing, { context }))

  // Routes of your own: the plan decides who gets in, and each answer is counted.
  app.get('/sso', requireFeature(billing, 'sso', { context }), (_req, res) => {
    res.json({ ok: true })
  })
  app.get('/translate', meterUsage(billing, 'requests', { context }), (_req, res) => {
    res.json({ text: 'Guten Tag' })
  })
  return app
}
