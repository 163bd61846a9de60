/** The app: the host's own routes, and the modules mounted beside them. This is the only file that knows Express. */
import { billingRouter, meterUsage, requireFeature } from '@org/billing/express'
import { contextOf } from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/express'
import { webhooksRouter } from '@org/webhooks/express'
import express, { type Express, type Request } from 'express'
import type { Knex } from 'knex'
import { signIn, signUp, type User, userOfSession } from './accounts.js'
import { createKey, createProject, keyOfSecret, listKeys, NameTaken, revokeKey } from './keys.js'
import type { Modules } from './modules.js'
import { createTraffic } from './traffic.js'

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

  // The host's own routes, guarded: a permission goes in front, the handler stays as it was.
  const may = <R extends 'keys' | 'projects'>(resource: R, action: 'create' | 'read') =>
    requirePermission(rbac, resource, action, { context })

  app.post('/projects', may('projects', 'create'), async (req, res) => {
    if (!req.body?.name) return void res.status(422).json({ error: 'send a name' })
    res.status(201).json(await createProject(knex, userOf(req), String(req.body.name)))
  })

  app.get('/keys', may('keys', 'read'), async (req, res) => {
    res.json({ data: await listKeys(knex, userOf(req)) })
  })

  app.post('/projects/:id/keys', may('keys', 'create'), async (req, res) => {
    if (!req.body?.name) return void res.status(422).json({ error: 'send a name' })
    try {
      const key = await createKey(knex, modules, userOf(req), String(req.params.id), String(req.body.name))
      if (!key) return void res.status(404).json({ error: 'no such project' })
      res.status(201).json(key)
    } catch (error) {
      if (!(error instanceof NameTaken)) throw error
      res.status(409).json({ error: 'a key of this name exists' })
    }
  })

  app.delete('/keys/:id', requirePermission(rbac, 'keys', 'delete', { context }), async (req, res) => {
    const revoked = await revokeKey(knex, modules, userOf(req), String(req.params.id))
    if (!revoked) return void res.status(404).json({ error: 'no such key' })
    res.status(204).end()
  })

  app.get('/sso', requireFeature(billing, 'sso', { context }), (_req, res) => {
    res.json({ metadata: 'https://gateway.example/saml' })
  })

  // The product: a gateway that callers reach with an API key, metered and rate limited.
  const keyContext = async (req: Request) => {
    const key = await keyOfSecret(knex, req.get('x-api-key'))
    return key && { tenantId: key.tenantId, actor: { type: 'key' as const, id: key.id }, ability: { can: () => false } }
  }
  const traffic = createTraffic(modules, { requestsPerSecond: 50 })

  app.get('/v1/*splat', meterUsage(billing, 'requests', { context: keyContext }), async (req, res) => {
    const context = contextOf(req)
    if (!context) throw new Error('meterUsage comes first')
    const caller = { tenantId: context.tenantId, keyId: context.actor.id }
    const wait = await traffic.refuseFor(caller)
    if (wait > 0) return void res.status(429).set('retry-after', String(wait)).json({ error: 'too fast' })
    const done = await traffic.started(caller, req.method, req.path)
    const status = req.path === '/v1/broken' ? 502 : 200
    await done(status)
    res.status(status).json({ path: req.path, status })
  })

  return app
}

/** Behind `requirePermission` the context is there. */
function userOf(req: Request): User {
  const context = contextOf(req)
  if (!context) throw new Error('this route must stand behind a guard')
  return { id: context.actor.id, tenantId: context.tenantId }
}
