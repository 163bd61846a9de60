/** The app: the host's own routes, and the modules mounted beside them. This is the only file that knows Koa. */
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { billingRouter, meterUsage, requireFeature } from '@org/billing/koa'
import { apiKeyOf, contextOf, isProblem } from '@org/rbac'
import { rbacRouter, requirePermission } from '@org/rbac/koa'
import { webhooksRouter } from '@org/webhooks/koa'
import type { Knex } from 'knex'
import Koa, { type Context } from 'koa'
import { join, signIn, signUp, userOfSession } from './accounts.js'
import { createKey, createProject, NameTaken } from './keys.js'
import type { Modules } from './modules.js'
import { started } from './traffic.js'

export function createApp(knex: Knex, modules: Modules) {
  const { rbac, webhooks, billing } = modules
  const app = new Koa()
  const router = new Router()
  app.use(bodyParser())

  // Who is asking? The one thing that every module must be told.
  const currentUser = (ctx: Context) => userOfSession(knex, ctx.cookies.get('session'))
  const context = rbac.context(async (ctx: Context) => {
    const user = await currentUser(ctx)
    return user && { tenantId: user.tenantId, userId: user.id }
  })

  // The three modules, each one line.
  router.use('/api/rbac', rbacRouter(rbac, { context }).routes())
  router.use('/api/webhooks', webhooksRouter(webhooks, { context }).routes())
  router.use('/api/billing', billingRouter(billing, { context }).routes())

  // The host's own sign-up: the first member of a tenant is its owner.
  router.post('/sign-up', async (ctx) => {
    const { email, password } = bodyOf(ctx)
    if (!email || !password) return answer(ctx, 422, { error: 'send an e-mail and a password' })
    const user = await signUp(knex, modules, String(email), String(password))
    if (!user) return answer(ctx, 409, { error: 'this e-mail is taken' })
    answer(ctx, 201, user)
  })

  // The host's own sign-in. Behind HTTPS the cookie should also be `secure`.
  router.post('/sign-in', async (ctx) => {
    const { email, password } = bodyOf(ctx)
    const token = await signIn(knex, email ?? '', password ?? '')
    if (!token) return answer(ctx, 401, { error: 'wrong e-mail or password' })
    ctx.cookies.set('session', token, { httpOnly: true, sameSite: 'lax' })
    ctx.status = 204
  })

  // The host's own way to accept an invite: its user's row changes in the same transaction.
  router.post('/join', async (ctx) => {
    const user = await currentUser(ctx)
    if (!user) return answer(ctx, 401, { error: 'sign in first' })
    try {
      answer(ctx, 200, await join(knex, modules, user, String(bodyOf(ctx).token)))
    } catch (error) {
      if (!isProblem(error) || error.status >= 500) throw error
      answer(ctx, error.status, { error: error.title, code: error.code })
    }
  })

  // The host's own routes, guarded: a permission goes in front, the handler stays as it was.
  const may = <R extends 'keys' | 'projects'>(resource: R, action: 'create' | 'read') =>
    requirePermission(rbac, resource, action, { context })

  router.post('/projects', may('projects', 'create'), async (ctx) => {
    const { name } = bodyOf(ctx)
    if (!name) return answer(ctx, 422, { error: 'send a name' })
    answer(ctx, 201, await createProject(knex, callerOf(ctx), String(name)))
  })

  router.get('/projects', may('projects', 'read'), async (ctx) => {
    answer(ctx, 200, {
      data: await knex('projects')
        .where({ tenant_id: callerOf(ctx).tenantId })
        .select('id', 'name'),
    })
  })

  router.post('/projects/:id/keys', may('keys', 'create'), async (ctx) => {
    const { name } = bodyOf(ctx)
    if (!name) return answer(ctx, 422, { error: 'send a name' })
    try {
      const key = await createKey(knex, modules, callerOf(ctx), ctx.params.id ?? '', String(name))
      if (!key) return answer(ctx, 404, { error: 'no such project' })
      answer(ctx, 201, key)
    } catch (error) {
      if (!(error instanceof NameTaken)) throw error
      answer(ctx, 409, { error: 'a key of this name exists' })
    }
  })

  router.get('/sso', requireFeature(billing, 'sso', { context }), (ctx) => {
    answer(ctx, 200, { metadata: 'https://gateway.example/saml' })
  })

  // The product: a gateway that callers reach with an API key, limited by rbac and metered by billing.
  const keyContext = rbac.context((ctx: Context) => {
    const apiKey = apiKeyOf(ctx.headers)
    return apiKey ? { apiKey } : null
  })
  const maySend = requirePermission(rbac, 'requests', 'create', { context: keyContext })

  router.get('/v1/*splat', maySend, meterUsage(billing, 'requests', { context: keyContext }), async (ctx) => {
    const { tenantId, actor } = callerOf(ctx)
    const done = await started(modules, { tenantId, keyId: actor.id }, ctx.method, ctx.path)
    const status = ctx.path === '/v1/broken' ? 502 : 200
    await done(status)
    answer(ctx, status, { path: ctx.path, status })
  })

  app.use(router.routes())
  return app.callback()
}

function bodyOf(ctx: Context): Record<string, string | undefined> {
  return (ctx.request as { body?: Record<string, string> }).body ?? {}
}

function answer(ctx: Context, status: number, body: object): void {
  ctx.status = status
  ctx.body = body
}

/** Behind a guard the context is there. */
function callerOf(ctx: Context) {
  const context = contextOf(ctx)
  if (!context) throw new Error('this route must stand behind a guard')
  return context
}
