import Router from '@koa/router'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { webhooksRouter } from '@org/webhooks/koa'
import type { Knex } from 'knex'
import Koa, { type Context } from 'koa'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex) {
  await migrate(knex)
  const webhooks = createWebhooks({ storage: knexStorage(knex) })

  // The one thing to tell it: who is signed in, and what they may do. Null is nobody.
  const context = (ctx: Context) => {
    const user = signedIn(ctx.get('authorization'))
    return user && { tenantId: user.tenantId, actor: { type: 'user', id: user.userId } as const, ability: user.ability }
  }

  const router = new Router()
  router.use('/api/webhooks', webhooksRouter(webhooks, { context }).routes())

  // A route of your own: the webhook exists if and only if the row does.
  router.post('/keys/:id', async (ctx) => {
    const { id } = ctx.params
    await knex.transaction(async (tx) => {
      await tx('keys').insert({ id })
      await webhooks.publish({ tenantId: 'acme', type: 'key.created', data: { keyId: String(id) } }, { tx })
    })
    ctx.status = 201
    ctx.body = { id }
  })
  const app = new Koa()
  app.use(router.routes())

  // Delivers in the background, here or in a process of its own, until `await worker.stop()`.
  const worker = webhooks.startWorker()
  return { app, worker }
}
