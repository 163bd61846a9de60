/** The guide to API keys does what it says. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { createRbac, memoryStorage } from '@org/rbac'
import { knexStorage } from '@org/rbac/knex'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testRedis } from './redis.js'
import * as samples from './samples/keys.js'

const logger = { debug() {}, info() {}, warn() {}, error() {} }

async function serve(app: RequestListener) {
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

const get = async (url: string, authorization: string) => {
  const response = await fetch(url, { headers: { authorization } })
  return [response.status, await response.json()]
}

const { missing, connect } = await testRedis()

describe('the guide to API keys', () => {
  let database: OpenDatabase

  beforeEach(async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    if (!sqlite) throw new Error('SQLite is always there')
    database = await sqlite.open()
  })
  afterEach(() => database.close())

  it('takes sessions and keys on the same routes', async () => {
    const { url, close } = await serve(await samples.createApp(database.knex))
    const rbac = createRbac({ logger, storage: knexStorage(database.knex) })
    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'olga', role: 'owner' })
    const scope = { tenantId: 'acme', actor: { type: 'user', id: 'olga' } } as const
    const { key, secret } = await rbac.keys.create(scope, { name: 'x', scopes: ['analytics:read'] })
    const byKey = { readBy: { type: 'key', id: key.id } }
    expect(await get(`${url}/reports`, `Bearer ${secret}`)).toEqual([200, byKey])
    const bySession = { readBy: { type: 'user', id: 'olga' } }
    expect(await get(`${url}/reports`, 'Bearer olga-1')).toEqual([200, bySession])
    expect(await get(`${url}/reports`, 'Bearer nobody')).toMatchObject([401, {}])
    const made = await fetch(`${url}/api/rbac/keys`, {
      method: 'POST',
      headers: { authorization: 'Bearer olga-1', 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'y', scopes: ['keys:read'] }),
    })
    expect(await made.json()).toMatchObject({ secret: expect.stringMatching(/^gw_live_[0-9A-Za-z]{36}$/) })
    await close()
  })

  it('makes, checks, rotates and hands over keys', async () => {
    const rbac = createRbac({ logger, storage: memoryStorage() })
    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'olga', role: 'owner' })
    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
    const { key, secret } = await samples.mint(rbac, Date.now())
    expect(await samples.byHand(rbac, secret, '192.0.2.9')).toBe(true)
    expect(await samples.byHand(rbac, secret, '198.51.100.1')).toBe('ip_not_allowed')
    expect(await samples.byHand(rbac, await samples.rotate(rbac, key.id), '2001:db8::7')).toBe(true)
    expect(await samples.byHand(rbac, secret, '192.0.2.9')).toBe(true)
    await samples.shutDown(rbac)
    expect((await rbac.keys.get({ tenantId: 'acme' }, key.id)).lastUsedAt).not.toBeNull()

    const scope = { tenantId: 'acme', actor: { type: 'user', id: 'dev' } } as const
    const own = await rbac.keys.create(scope, { name: 'x', scopes: ['keys:read'] })
    await samples.offboard(rbac)
    expect((await rbac.keys.verify(own.secret)).valid).toBe(true)
    expect((await rbac.keys.get({ tenantId: 'acme' }, own.key.id)).userId).toBe('olga')

    const app = express()
    samples.keysOnly(app, rbac)
    const { url, close } = await serve(app)
    expect(await get(`${url}/v1/reports`, `Bearer ${own.secret}`)).toMatchObject([403, { code: 'forbidden' }])
    const open = await rbac.keys.create({ tenantId: 'acme' }, { name: 'x', scopes: ['analytics:*'] })
    expect(await get(`${url}/v1/reports`, `Bearer ${open.secret}`)).toEqual([200, { readBy: open.key.id }])
    await close()
  })

  it.skipIf(missing)('counts in Redis', async () => {
    await samples.createApp(database.knex)
    const redis = await connect()
    const rbac = samples.sharedLimits(database.knex, redis)
    const rateLimit = { limit: 1, windowMs: 1000 }
    const { key, secret } = await rbac.keys.create(
      { tenantId: 'acme' },
      { name: 'x', scopes: ['keys:read'], rateLimit },
    )
    expect((await rbac.keys.verify(secret)).valid).toBe(true)
    expect(await redis.get(`rbac_key:${key.id}:1`)).toBe('1')
    await rbac.keys.flush()
    await redis.quit()
  })
})
