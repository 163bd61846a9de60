import Router from '@koa/router'
import { createBilling } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { billingRouter, meterUsage, requireFeature } from '@org/billing/koa'
import type { Knex } from 'knex'
import Koa, { type Context } from 'koa'
import { catalog } from './catalog.js'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<Koa> {
  await migrate(knex)
  const billing = createBilling({ catalog, storage: knexStorage(knex) })

  // The one thing to tell it: who is asking, and what they may do. Null is nobody.
  const context = (ctx: Context) => signedIn(ctx.get('authorization'))

  const router = new Router()
  router.use('/api/billing', billingRouter(billing, { context }).routes())

  // Routes of your own: the plan decides who gets in, and each answer is counted.
  router.get('/sso', requireFeature(billing, 'sso', { context }), (ctx) => {
    ctx.body = { ok: true }
  })
  router.get('/translate', meterUsage(billing, 'requests', { context }), (ctx) => {
    ctx.body = { text: 'Guten Tag' }
  })

  const app = new Koa()
  app.use(router.routes())
  return app
}
