/** What the guides show is what runs here: every block of code comes out of a sample, and every sample is run. */
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { billingErrors, createBilling } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as calls from './samples/calls.js'
import { catalog } from './samples/catalog.js'
import { createApp as expressApp } from './samples/express.js'
import { createApp as koaApp } from './samples/koa.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const guide = read('../../../docs/billing/README.md')
const readme = read('../README.md')
/** Samples are indented as their files are, blocks as the guide is. */
const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()

describe('the guides', () => {
  it('show code that is run', () => {
    const samples = ['catalog', 'express', 'koa', 'calls'].map((name) => flat(read(`./samples/${name}.ts`)))
    const blocks = [...guide.matchAll(/^```ts\n(.*?)^```/gms), ...readme.matchAll(/^```ts\n(.*?)^```/gms)]
    expect(blocks.length).toBeGreaterThan(8)
    for (const [, block = ''] of blocks) {
      const shown = samples.some((sample) => sample.includes(flat(block)))
      expect(shown, `not in a sample:\n${block}`).toBe(true)
    }
  })

  it('list every route and every error', () => {
    const { http } = createBilling({ catalog, logger: recordingLogger() })
    // A formatter may pad the columns.
    const rows = guide.replace(/ +/g, ' ')
    for (const { method, path } of http.routes) expect(rows).toContain(`| \`${method} ${path}\` |`)
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
      const app = await createApp(database.knex)
      const server = createServer(('callback' in app ? app.callback() : app) as RequestListener)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const ask = (path: string, headers = { authorization: 'Bearer acme' }) => fetch(url + path, { headers })
      expect((await ask('/sso', { authorization: '' })).status).toBe(401)
      expect((await ask('/sso')).status).toBe(402)
      const translated = await ask('/translate')
      expect([translated.status, translated.headers.get('ratelimit-remaining')]).toEqual([200, '999'])
      await billingOf().subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })
      expect((await ask('/sso')).status).toBe(200)
      expect((await ask('/api/billing/subscription')).status).toBe(200)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
  }

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

  it('migrate as one of the host’s own migrations', async () => {
    const migrationSource = {
      getMigrations: async () => ['001-billing'],
      getMigrationName: (name: string) => name,
      getMigration: async () => calls.migration,
    }
    await database.knex.migrate.latest({ migrationSource })
    expect(await billingOf().subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })).toMatchObject({
      status: 'active',
    })
    expect(await migrate(database.knex)).toEqual([])
  })
})
