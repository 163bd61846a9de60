/** What the guides show is what runs here: every block of code comes out of a sample, and every sample is run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { createRbac, predefinedRoles, rbacErrors, rbacEvents } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as calls from './samples/calls.js'
import { createApp as expressApp } from './samples/express.js'
import { createApp as koaApp } from './samples/koa.js'
import * as migration from './samples/migration.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const guide = read('../../../docs/rbac/README.md')
const readme = read('../README.md')
/** Samples are indented as their files are, blocks as the guide is. */
const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()

async function serve(app: RequestListener) {
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url, close }
}

describe('the guides', () => {
  it('show code that is run', () => {
    const samples = readdirSync(new URL('./samples/', import.meta.url)).map((name) => flat(read(`./samples/${name}`)))
    for (const text of [...samples, guide, readme]) expect(text).not.toContain("from '@org/core")
    const blocks = [...guide.matchAll(/^```ts\n(.*?)^```/gms), ...readme.matchAll(/^```ts\n(.*?)^```/gms)]
    expect(blocks.length).toBeGreaterThan(10)
    for (const [, block = ''] of blocks) {
      const shown = samples.some((sample) => sample.includes(flat(block)))
      expect(shown, `not in a sample:\n${block}`).toBe(true)
    }
  })

  it('list every route, event, error of ours and predefined role', () => {
    const rbac = createRbac({ logger: { debug() {}, info() {}, warn() {}, error() {} } })
    for (const { method, path } of rbac.http.routes) expect(guide).toContain(`| \`${method} ${path}\` |`)
    for (const { code, status } of Object.values(rbacErrors)) expect(guide).toContain(`| \`${code}\` | ${status} |`)
    for (const [type, { shape }] of Object.entries(rbacEvents)) {
      const data = Object.keys(shape).join(', ')
      expect(guide).toContain(`| \`${type}\` | \`{ ${data} }\` |`)
    }
    for (const [key, { name, permissions }] of Object.entries(predefinedRoles)) {
      const rights = permissions.map((permission) => `\`${permission}\``).join(', ')
      expect(guide).toContain(`| \`${key}\` | ${name} | ${rights} |`)
    }
  })

  it('name for each guarantee a test that proves it', () => {
    const [, section = ''] = /^## Guarantees\n(.*?)^## /ms.exec(guide) ?? []
    const guarantees = section.match(/^- .*$/gm) ?? []
    expect(guarantees.length).toBeGreaterThan(4)
    for (const guarantee of guarantees) {
      const files = [...guarantee.matchAll(/`(test\/[\w.-]+)`/g)].map(([, file]) => file)
      expect(files, guarantee).not.toEqual([])
      for (const file of files) expect(existsSync(new URL(`../${file}`, import.meta.url)), file).toBe(true)
    }
  })
})

describe('the samples', () => {
  let database: OpenDatabase
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const rbacOf = () => createRbac({ logger, storage: knexStorage(database.knex) })

  beforeEach(async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    if (!sqlite) throw new Error('SQLite is always there')
    database = await sqlite.open()
    await database.knex.schema.createTable('tenants', (table) => {
      for (const name of ['id', 'name']) table.text(name)
    })
    await database.knex.schema.createTable('keys', (table) => {
      for (const name of ['id', 'tenant_id']) table.text(name)
    })
  })
  afterEach(() => database.close())

  for (const [name, createApp] of [
    ['Express', expressApp],
    ['Koa', koaApp],
  ] as const) {
    it(`guard a route on ${name}`, async () => {
      const app = await createApp(database.knex)
      await calls.firstOwner(rbacOf())
      const { url, close } = await serve(('callback' in app ? app.callback() : app) as RequestListener)
      const ask = (token: string, method: string, path: string) =>
        fetch(url + path, { method, headers: { authorization: `Bearer ${token}` } })
      expect((await ask('nobody', 'POST', '/keys')).status).toBe(401)
      expect((await ask('dev-1', 'POST', '/keys')).status).toBe(403)
      const made = await ask('olga-1', 'POST', '/keys')
      expect([made.status, await made.json()]).toEqual([201, { createdBy: 'olga' }])
      const fetchMe = async () => (await ask('olga-1', 'GET', '/api/rbac/me')).json() as Promise<{ rules: [] }>
      expect(await calls.browser(fetchMe)).toBe(true)
      await close()
    })
  }

  it('do what the guide says', async () => {
    const { knex } = database
    await migrate(knex)
    const rbac = rbacOf()
    await calls.signUp(knex, rbac, { tenantId: 'acme', name: 'Acme', userId: 'olga' })
    expect(await rbac.checkPermission('olga', 'keys', 'read', { tenantId: 'acme' })).toBe(true)
    expect(await calls.singleTenant(rbac)).toBe(true)

    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
    const { may, permissions, ability, why, who } = await calls.questions(rbac)
    expect([may, ability.can('create', 'keys'), why.allowed, calls.pure(permissions)]).toEqual([true, true, true, true])
    expect(who).toEqual(['dev', 'olga'])
    await knex('keys').insert([
      { id: 'k1', tenant_id: 'acme' },
      { id: 'k2', tenant_id: 'globex' },
    ])
    const app = express()
    const asDev = rbac.context(() => ({ tenantId: 'acme', userId: 'dev' }))
    app.delete('/keys/:id', calls.rowGuard(rbac, knex, asDev), (_req, res) => void res.sendStatus(204))
    const { url, close } = await serve(app)
    const remove = async (id: string) => (await fetch(`${url}/keys/${id}`, { method: 'DELETE' })).status
    expect([await remove('k1'), await remove('k2'), await remove('k3')]).toEqual([204, 404, 404])
    await close()

    const own = calls.ownCatalog(knex)
    await own.assignments.assign({ tenantId: 'acme' }, { userId: 'lea', role: 'project_lead' })
    expect(await own.checkPermission('lea', 'projects', 'archive', { tenantId: 'acme' })).toBe(true)

    await calls.ownEntry(knex, rbac, 'olga')
    const [latest] = await calls.lastWeek(rbac, Date.now())
    expect(latest?.slice(1)).toEqual(['key.deleted', 'key_1'])
  })

  it('run in a host’s own tests', async () => {
    expect(await calls.tested()).toEqual([
      ['assignment.deleted', '2026-11-01T09:01:00.000Z'],
      ['assignment.created', '2026-11-01T09:00:00.000Z'],
    ])
    const undone = calls.testedTogether(async (rbac, tx) => {
      await rbac.assignments.assign({ tenantId: 'acme', tx }, { userId: 'olga', role: 'owner' })
      expect(await rbac.whoCan('team', 'delete', { tenantId: 'acme', tx })).toEqual(['olga'])
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
  })
})

for (const { name, missing, open } of await testDatabases()) {
  it.skipIf(missing)(`migrate as one of the host’s own migrations on ${name}`, async () => {
    const { knex, close } = await open()
    const migrationSource = {
      getMigrations: async () => ['001-rbac'],
      getMigrationName: (name: string) => name,
      getMigration: async () => migration,
    }
    await knex.migrate.latest({ migrationSource })
    expect(await migrate(knex)).toEqual([])
    const rbac = createRbac({ storage: knexStorage(knex) })
    await calls.firstOwner(rbac)
    expect(await rbac.whoCan('team', 'delete', { tenantId: 'acme' })).toEqual(['olga'])
    await close()
  })
}
