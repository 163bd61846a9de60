/** The package's README on Koa. */
import Router from '@koa/router'
import type { Billing } from '@org/billing'
import { billingRouter, meterUsage, requireFeature } from '@org/billing/koa'
import type Koa from 'koa'
import type { Context } from 'koa'
import { signedIn } from './sign-in.js'

export function addRoutes(app: Koa, billing: Billing<'free' | 'pro', 'reports', 'requests'>) {
  const context = (ctx: Context) => signedIn(ctx.get('authorization'))

  const router = new Router()
  router.use('/api/billing', billingRouter(billing, { context }).routes())
  router.get('/reports', requireFeature(billing, 'reports', { context }), (ctx) => {
    ctx.body = { reports: [] }
  })
  router.get('/translate', meterUsage(billing, 'requests', { context }), (ctx) => {
    ctx.body = { text: 'Guten Tag' }
  })
  app.use(router.routes())
}
