/** The app: the host's own routes, and the modules mounted beside them. This is the only file that knows Express. */
import { billingRouter, meterUsage, requireFeature } from '@org/billing/express'
import { apiKeyOf, contextOf, isProblem } from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/express'
import { webhooksRouter } from '@org/webhooks/express'
import express, { type Express, type Request } from 'express'
import type { Knex } from 'knex'
import { join, signIn, signUp, userOfSession } from './accounts.js'
import { createKey, createProject, NameTaken } from './keys.js'
import type { Modules } from './modules.js'
import { started } from './traffic.js'

export function createApp(knex: Knex, modules: Modules): Express {
  const { rbac, webhooks, billing } = modules
  const app = express()
  app.use(express.json())

  // Who is asking? The one thing that every module must be told.
  const currentUser = (req: Request) =>
    userOfSession(knex, /(?:^|; )session=([^;]+)/.exec(req.headers.cookie ?? '')?.[1])
  const context = rbac.context(async (req: Request) => {
    const user = await currentUser(req)
    return user && { tenantId: user.tenantId, userId: user.id }
  })

  // The three modules, each one line.
  app.use('/api/rbac', rbacRouter(rbac, { context }))
  app.use('/api/webhooks', webhooksRouter(webhooks, { context }))
  app.use('/api/billing', billingRouter(billing, { context }))

  // The host's own sign-up: the first member of a tenant is its owner.
  app.post('/sign-up', async (req, res) => {
    const { email, password } = req.body ?? {}
    if (!email || !password) return void res.status(422).json({ error: 'send an e-mail and a password' })
    const user = await signUp(knex, modules, String(email), String(password))
    if (!user) return void res.status(409).json({ error: 'this e-mail is taken' })
    res.status(201).json(user)
  })

  // The host's own sign-in. Behind HTTPS the cookie should also be `secure`.
  app.post('/sign-in', async (req, res) => {
    const token = await signIn(knex, String(req.body?.email), String(req.body?.password))
    if (!token) return void res.status(401).json({ error: 'wrong e-mail or password' })
    res.cookie('session', token, { httpOnly: true, sameSite: 'lax' }).status(204).end()
  })

  // The host's own way to accept an invite: its user's row changes in the same transaction.
  app.post('/join', async (req, res) => {
    const user = await currentUser(req)
    if (!user) return void res.status(401).json({ error: 'sign in first' })
    try {
      res.json(await join(knex, modules, user, String(req.body?.token)))
    } catch (error) {
      if (!isProblem(error) || error.status >= 500) throw error
      res.status(error.status).json({ error: error.title, code: error.code })
    }
  })

  // The host's own routes, guarded: a permission goes in front, the handler stays as it was.
  const may = <R extends 'keys' | 'projects'>(resource: R, action: 'create' | 'read') =>
    requirePermission(rbac, resource, action, { context })

  app.post('/projects', may('projects', 'create'), async (req, res) => {
    if (!req.body?.name) return void res.status(422).json({ error: 'send a name' })
    res.status(201).json(await createProject(knex, callerOf(req), String(req.body.name)))
  })

  app.get('/projects', may('projects', 'read'), async (req, res) => {
    res.json({
      data: await knex('projects')
        .where({ tenant_id: callerOf(req).tenantId })
        .select('id', 'name'),
    })
  })

  app.post('/projects/:id/keys', may('keys', 'create'), async (req, res) => {
    if (!req.body?.name) return void res.status(422).json({ error: 'send a name' })
    try {
      const key = await createKey(knex, modules, callerOf(req), String(req.params.id), String(req.body.name))
      if (!key) return void res.status(404).json({ error: 'no such project' })
      res.status(201).json(key)
    } catch (error) {
      if (!(error instanceof NameTaken)) throw error
      res.status(409).json({ error: 'a key of this name exists' })
    }
  })

  app.get('/sso', requireFeature(billing, 'sso', { context }), (_req, res) => {
    res.json({ metadata: 'https://gateway.example/saml' })
  })

  // The product: a gateway that callers reach with an API key, limited by rbac and metered by billing.
  const keyContext = rbac.context((req: Request) => {
    const apiKey = apiKeyOf(req.headers)
    return apiKey ? { apiKey } : null
  })
  const maySend = requirePermission(rbac, 'requests', 'create', { context: keyContext })

  app.get('/v1/*splat', maySend, meterUsage(billing, 'requests', { context: keyContext }), async (req, res) => {
    const { tenantId, actor } = callerOf(req)
    const done = await started(modules, { tenantId, keyId: actor.id }, req.method, req.path)
    const status = req.path === '/v1/broken' ? 502 : 200
    await done(status)
    res.status(status).json({ path: req.path, status })
  })

  return app
}

/** Behind a guard the context is there. */
function callerOf(req: Request) {
  const context = contextOf(req)
  if (!context) throw new Error('this route must stand behind a guard')
  return context
}
