import { contextOf, createRbac } from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/express'
import { knexStorage, migrate } from '@org/rbac/knex'
import express, { type Express, type Request } from 'express'
import type { Knex } from 'knex'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<Express> {
  await migrate(knex)
  const rbac = createRbac({ storage: knexStorage(knex) })

  // The one thing to tell it: who is signed in, from your session or token. Null is nobody.
  const context = rbac.context((req: Request) => signedIn(req.get('authorization')))

  const app = express()
  app.use('/api/rbac', rbacRouter(rbac, { context }))

  // A route of your own: the guard goes in front, the handler stays as it was.
  app.post('/keys', requirePermission(rbac, 'keys', 'create', { context }), (req, res) => {
    res.status(201).json({ createdBy: contextOf(req)?.actor.id })
  })
  return app
}
