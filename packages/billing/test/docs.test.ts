/** What the guides show is what runs here: every block of code comes out of a sample, and every sample is run. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { billingErrors, billingEvents, createBilling } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'
import express, { type Express } from 'express'
import Koa from 'koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as calls from './samples/calls.js'
import { catalog } from './samples/catalog.js'
import { createApp as expressApp } from './samples/express.js'
import { createApp as koaApp } from './samples/koa.js'
import * as migration from './samples/migration.js'
import { addBilling } from './samples/readme-express.js'
import { addRoutes } from './samples/readme-koa.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const guide = read('../../../docs/billing/README.md')
const readme = read('../README.md')
/** Samples are indented as their files are, blocks as the guide is. */
const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()

describe('the guides', () => {
  it('show code that is run', () => {
    const samples = ['catalog', 'express', 'koa', 'calls', 'migration', 'readme-express', 'readme-koa'].map((name) =>
      flat(read(`./samples/${name}.ts`)),
    )
    const blocks = [...guide.matchAll(/^```ts\n(.*?)^```/gms), ...readme.matchAll(/^```ts\n(.*?)^```/gms)]
    expect(blocks.length).toBeGreaterThan(8)
    for (const [, block = ''] of blocks) {
      const shown = samples.some((sample) => sample.includes(flat(block)))
      expect(shown, `not in a sample:\n${block}`).toBe(true)
    }
  })

  it('name the test that proves each guarantee', () => {
    const guarantees = guide.split('## Guarantees')[1]?.split('\n## ')[0] ?? ''
    const named = new Set([...guarantees.matchAll(/`([\w.-]+\.test\.ts)`/g)].map(([, file = '']) => file))
    expect(named.size).toBeGreaterThan(4)
    for (const file of named) expect(existsSync(new URL(file, import.meta.url)), file).toBe(true)
  })

  it('list every route, event and error', () => {
    const { http } = createBilling({ catalog, logger: recordingLogger() })
    // A formatter may pad the columns.
    const rows = guide.replace(/ +/g, ' ')
    for (const { method, path } of http.routes) expect(rows).toContain(`| \`${method} ${path}\` |`)
    for (const type of Object.keys(billingEvents)) expect(rows).toContain(`| \`${type}\` |`)
    for (const { code, status } of Object.values(billingErrors)) expect(rows).toContain(`| \`${code}\` | ${status} |`)
  })
})

describe('the samples', () => {
  let database: OpenDatabase
  const billingOf = () => createBilling({ catalog, storage: knexStorage(database.knex), logger: recordingLogger() })

  beforeEach(async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    if (!sqlite) throw new Error('SQLite is always there')
    database = await sqlite.open()
    await database.knex.schema.createTable('documents', (table) => {
      for (const name of ['tenant_id', 'text']) table.text(name)
    })
  })
  afterEach(() => database.close())

  for (const [name, createApp] of [
    ['Express', expressApp],
    ['Koa', koaApp],
  ] as const) {
    it(`meter and require on ${name}`, async () => {
      const { ask, close } = await listen(await createApp(database.knex))
      expect((await ask('/sso', { authorization: '' })).status).toBe(401)
      expect((await ask('/sso')).status).toBe(402)
      const translated = await ask('/translate')
      expect([translated.status, translated.headers.get('ratelimit-remaining')]).toEqual([200, '999'])
      await billingOf().subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })
      expect((await ask('/sso')).status).toBe(200)
      expect((await ask('/api/billing/subscription')).status).toBe(200)
      await close()
    })
  }

  it('of the package’s README run as they stand', async () => {
    const app = express()
    const billing = await addBilling(app, database.knex)
    const koa = new Koa()
    addRoutes(koa, billing)
    const hosts = [await listen(app), await listen(koa)]
    for (const { ask } of hosts) {
      expect((await ask('/reports', { authorization: '' })).status).toBe(401)
      expect((await ask('/reports')).status).toBe(402)
      expect((await ask('/translate')).status).toBe(200)
    }
    await billing.subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })
    for (const { ask, close } of hosts) {
      expect((await ask('/reports')).status).toBe(200)
      expect((await ask('/api/billing/subscription')).status).toBe(200)
      await close()
    }
  })

  it('do what the guide says', async () => {
    await migrate(database.knex)
    const billing = billingOf()
    const { preview, changed, invoices } = await calls.lifecycle(billing, 'acme')
    expect(preview.invoice?.total).toBe(29_000 - 2900)
    expect([changed.interval, changed.amount, invoices.data[0]?.total]).toEqual(['year', 29_000, 26_100])
    expect(await calls.mayAddProject(billing, 'acme', 20)).toEqual({ allowed: false, limit: 20 })
    await calls.saveDocument(database.knex, billing, 'other', 'x'.repeat(600))
    await expect(calls.saveDocument(database.knex, billing, 'other', 'x'.repeat(600))).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
    expect(await database.knex('documents')).toHaveLength(1)
    expect(await calls.declined(billing, 'third')).toBe('insufficient_funds')
  })

  it('live a year in a test', async () => {
    await migrate(database.knex)
    const { renewed, ends } = await calls.aYearInATest(database.knex)
    expect(renewed).toBe(11)
    expect(ends.slice(-4)).toEqual(['2026-05-31', '2026-04-30', '2026-03-31', '2026-02-28'])
  })
})

for (const database of await testDatabases()) {
  it.skipIf(database.missing)(`the migration runs as one of the host’s own on ${database.name}`, async () => {
    const { knex, close } = await database.open()
    const migrationSource = {
      getMigrations: async () => ['001-billing'],
      getMigrationName: (name: string) => name,
      getMigration: async () => migration,
    }
    await knex.migrate.latest({ migrationSource })
    const billing = createBilling({ catalog, storage: knexStorage(knex), logger: recordingLogger() })
    expect(await billing.subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })).toMatchObject({
      status: 'active',
    })
    expect(await migrate(knex)).toEqual([])
    await close()
  })
}

async function listen(app: Express | Koa) {
  const server = createServer(('callback' in app ? app.callback() : app) as RequestListener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ask: (path: string, headers = { authorization: 'Bearer acme' }) => fetch(url + path, { headers }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
