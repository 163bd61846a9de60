import Router from '@koa/router'
import { contextOf, createRbac } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import { rbacRouter, requirePermission } from '@org/rbac/koa'
import type { Knex } from 'knex'
import Koa, { type Context } from 'koa'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<Koa> {
  await migrate(knex)
  const rbac = createRbac({ storage: knexStorage(knex) })

  // The one thing to tell it: who is signed in, from your session or token. Null is nobody.
  const context = rbac.context((ctx: Context) => signedIn(ctx.get('authorization')))

  const router = new Router()
  router.use('/api/rbac', rbacRouter(rbac, { context }).routes())

  // A route of your own: the guard goes in front, the handler stays as it was.
  router.post('/keys', requirePermission(rbac, 'keys', 'create', { context }), (ctx) => {
    ctx.status = 201
    ctx.body = { createdBy: contextOf(ctx)?.actor.id }
  })
  const app = new Koa()
  app.use(router.routes())
  return app
}
