import { createWebhooks, type Worker } from '@org/webhooks'
import { webhooksRouter } from '@org/webhooks/express'
import { knexStorage, migrate } from '@org/webhooks/knex'
import express, { type Express, type Request } from 'express'
import type { Knex } from 'knex'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<{ app: Express; worker: Worker }> {
  await migrate(knex)
  const webhooks = createWebhooks({ storage: knexStorage(knex) })

  // The one thing to tell it: who is signed in, and what they may do. Null is nobody.
  const context = (req: Request) => {
    const user = signedIn(req.get('authorization'))
    return user && { tenantId: user.tenantId, actor: { type: 'user', id: user.userId } as const, ability: user.ability }
  }

  const app = express()
  app.use('/api/webhooks', webhooksRouter(webhooks, { context }))

  // A route of your own: the webhook exists if and only if the row does.
  app.post('/keys', express.json(), async (req, res) => {
    const { id, name } = req.body as { id: string; name: string }
    await knex.transaction(async (tx) => {
      await tx('keys').insert({ id, name })
      await webhooks.publish({ tenantId: 'acme', type: 'key.created', data: { keyId: id, name } }, { tx })
    })
    res.status(201).json({ id })
  })

  // Delivers in the background, here or in a process of its own, until `await worker.stop()`.
  const worker = webhooks.startWorker()
  return { app, worker }
}
