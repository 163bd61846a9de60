/** The code of the guide to API keys, each block run by a test. */
import { apiKeyOf, contextOf, createRbac, type Rbac } from '@org/rbac'
import { apiKeyAuth, rbacRouter, requirePermission } from '@org/rbac/express'
import { knexStorage, migrate } from '@org/rbac/knex'
import express, { type Express, type Request } from 'express'
import type { Redis } from 'ioredis'
import type { Knex } from 'knex'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { signedIn } from './sign-in.js'

export async function createApp(knex: Knex): Promise<Express> {
  await migrate(knex)
  const rbac = createRbac({ storage: knexStorage(knex), keys: { prefix: 'gw_live' } })

  // A request carries a key, or belongs to a session.
  const context = rbac.context((req: Request) => {
    const apiKey = apiKeyOf(req.headers)
    return apiKey ? { apiKey } : signedIn(req.get('authorization'))
  })

  const app = express()
  app.use('/api/rbac', rbacRouter(rbac, { context }))
  app.get('/reports', requirePermission(rbac, 'analytics', 'read', { context }), (req, res) => {
    res.json({ readBy: contextOf(req)?.actor })
  })
  return app
}

export function keysOnly(app: Express, rbac: Rbac) {
  app.use('/v1', apiKeyAuth(rbac))

  const context = (req: Request) => contextOf(req) ?? null
  app.get('/v1/reports', requirePermission(rbac, 'analytics', 'read', { context }), (req, res) => {
    res.json({ readBy: contextOf(req)?.actor.id })
  })
}

export async function mint(rbac: Rbac, now: number) {
  const { key, secret } = await rbac.keys.create(
    { tenantId: 'acme', actor: { type: 'user', id: 'olga' } },
    {
      name: 'Nightly report',
      scopes: ['analytics:read', 'keys:*'],
      expiresAt: now + 90 * 24 * 60 * 60 * 1000,
      rateLimit: { limit: 100, windowMs: 60_000 },
      allowedIps: ['192.0.2.0/24', '2001:db8::/32'],
    },
  )
  return { key, secret }
}

export async function rotate(rbac: Rbac, id: string) {
  const { secret } = await rbac.keys.rotate({ tenantId: 'acme' }, id, { overlapMs: 60 * 60 * 1000 })
  return secret
}

export async function byHand(rbac: Rbac, secret: string, ip: string) {
  const found = await rbac.keys.verify(secret, { ip })
  if (!found.valid) return found.code
  return found.ability.can('read', 'analytics')
}

export function sharedLimits(knex: Knex, redis: Redis) {
  const rbac = createRbac({
    storage: knexStorage(knex),
    keys: {
      rateLimiter: (options) => new RateLimiterRedis({ ...options, storeClient: redis, rejectIfRedisNotReady: true }),
    },
  })
  return rbac
}

export async function offboard(rbac: Rbac) {
  await rbac.members.remove({ tenantId: 'acme' }, 'dev', { keysTo: 'olga' })
}

export async function shutDown(rbac: Rbac) {
  await rbac.keys.flush()
}
