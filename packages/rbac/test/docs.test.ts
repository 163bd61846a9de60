/** What the guides show is what runs here: every block of code comes out of a sample, and every sample is run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import {
  type AuditOptions,
  type CacheOptions,
  createRbac,
  defaultTenantId,
  type InviteOptions,
  type KeyOptions,
  predefinedRoles,
  type RbacOptions,
  type Resources,
} from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as calls from './samples/calls.js'
import { createApp as expressApp } from './samples/express.js'
import * as fromIsAdmin from './samples/from-is-admin.js'
import { createApp as koaApp } from './samples/koa.js'
import * as migration from './samples/migration.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const folder = new URL('../../../docs/rbac/', import.meta.url)
const guides = readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), 'utf8')] as const)
const guide = (name: string) => guides.find(([other]) => other === name)?.[1] ?? ''
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
    for (const text of [...samples, ...guides.map(([, text]) => text), readme]) {
      expect(text).not.toContain("from '@org/core")
    }
    const shown = [...guides, ['packages/rbac/README.md', readme] as const].flatMap(([name, text]) =>
      [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = '']) => ({ name, block })),
    )
    expect(shown.length).toBeGreaterThan(30)
    for (const { name, block } of shown) {
      const found = samples.some((sample) => sample.includes(flat(block)))
      expect(found, `${name} shows what is in no sample:\n${block}`).toBe(true)
    }
  })

  it('lead to pages and headings that are there', () => {
    for (const [name, text] of guides) {
      for (const [, path = '', anchor = ''] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
        const file = path === '' ? new URL(name, folder) : new URL(path, folder)
        expect(existsSync(file), `${name} leads to ${path}`).toBe(true)
        if (!anchor || !file.pathname.endsWith('.md')) continue
        const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
          heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-'),
        )
        expect(headings, `${name} leads to ${path}#${anchor}`).toContain(anchor)
      }
    }
  })

  it('list the predefined roles', () => {
    for (const [key, { name, permissions }] of Object.entries(predefinedRoles)) {
      const rights = permissions.map((permission) => `\`${permission}\``).join(', ')
      expect(guide('README.md')).toContain(`| \`${key}\` | ${name} | ${rights} |`)
    }
  })

  it('list every option', () => {
    // The compiler says when one is missing here, and this test when one is missing there.
    const options = {
      'createRbac({ … })': {
        ...{ resources: true, roles: true, storage: true, events: true },
        ...{ clock: true, random: true, id: true, logger: true },
      } satisfies Record<Exclude<keyof RbacOptions<Resources>, 'keys' | 'invites' | 'audit' | 'cache'>, true>,
      keys: { prefix: true, rateLimiter: true, failedAttempts: true } satisfies Record<keyof KeyOptions, true>,
      invites: { send: true, verifiedEmails: true, expiresInMs: true } satisfies Record<keyof InviteOptions, true>,
      audit: {
        ...{ redact: true, inline: true, checkpoints: true, signingKey: true, olderKeys: true, anchor: true },
        ...{ stream: true, deniedPerMinute: true, userFields: true },
      } satisfies Record<keyof AuditOptions, true>,
      cache: { maxStaleMs: true, strict: true, maxEntries: true, bus: true } satisfies Record<keyof CacheOptions, true>,
    }
    const sections = guide('options.md').split(/^## /m)
    for (const [title, names] of Object.entries(options)) {
      const section = sections.find((text) => text.startsWith(`\`${title}\`\n`)) ?? ''
      const listed = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
      expect(listed.sort(), title).toEqual(Object.keys(names).sort())
    }
  })

  it('name for each guarantee a test that proves it', () => {
    const guarantees = guide('guarantees.md').match(/^(?:- |\| \d).*$/gm) ?? []
    expect(guarantees.length).toBeGreaterThan(20)
    for (const guarantee of guarantees) {
      const files = [...guarantee.matchAll(/`(test\/[\w.-]+)`/g)].map(([, file]) => file)
      expect(files, guarantee).not.toEqual([])
      for (const file of files) expect(existsSync(new URL(`../${file}`, import.meta.url)), file).toBe(true)
    }
  })

  it('name for each defect the tests that have its number in their titles', () => {
    const rows = [...guide('guarantees.md').matchAll(/^\| (\d+)\. .* \| (.*) \|$/gm)]
    expect(rows.map(([, number]) => Number(number))).toEqual(rows.map((_, i) => i + 1))
    expect(rows).toHaveLength(12)
    for (const [, number, tests = ''] of rows) {
      for (const [, file] of tests.matchAll(/`(test\/[\w.-]+)`/g)) {
        const titled = new RegExp(`\\b(?:it|describe)(?:\\.\\w+\\([^)]*\\))?\\(\\s*['"\`]defect ${number}\\b`)
        expect(read(`../${file}`), `${file} has no title with "defect ${number}"`).toMatch(titled)
      }
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

  it('guard fields, and ask anywhere', async () => {
    const { knex } = database
    await migrate(knex)
    const { rbac, guard } = calls.fieldGuard(knex, () => context({}))
    const context = rbac.context(() => ({ tenantId: 'acme', userId: 'nan' }))
    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'nan', role: 'namer' })
    const app = express()
    app.use(express.json())
    app.patch('/projects/1', guard, (_req, res) => void res.sendStatus(204))
    const { url, close } = await serve(app)
    const patch = async (body: object) => {
      const headers = { 'content-type': 'application/json' }
      return (await fetch(`${url}/projects/1`, { method: 'PATCH', headers, body: JSON.stringify(body) })).status
    }
    expect(await patch({ name: 'New' })).toBe(204)
    expect(await patch({ name: 'New', owner: 'nan' })).toBe(403)
    expect(await patch({})).toBe(403)
    await close()

    await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
    expect(await calls.askAnywhere(rbacOf(), 'acme')).toEqual({ may: true, all: [true, false] })
  })

  it('replace an isAdmin', async () => {
    const { knex } = database
    await migrate(knex)
    await knex.schema.createTable('users', (table) => {
      table.integer('id')
      table.boolean('is_admin')
    })
    await knex('users').insert([
      { id: 1, is_admin: true },
      { id: 2, is_admin: false },
    ])
    const rbac = rbacOf()
    await fromIsAdmin.giveRoles(knex, rbac)
    await fromIsAdmin.giveRoles(knex, rbac)
    const scope = { tenantId: defaultTenantId }
    expect((await rbac.members.get(scope, '1')).roles).toEqual(['admin'])
    for (const user of await knex('users')) expect(await fromIsAdmin.compare(rbac, user)).toEqual([])
    const app = express()
    const identify = rbac.context(() => ({ userId: '2' }))
    fromIsAdmin.guardRoute(app, rbac, () => identify({}))
    const { url, close } = await serve(app)
    const remove = async () => (await fetch(`${url}/keys/1`, { method: 'DELETE' })).status
    expect(await remove()).toBe(403)
    await fromIsAdmin.setFlag(knex, rbac, 2, true)
    expect((await rbac.members.get(scope, '2')).roles).toEqual(['admin'])
    expect(await remove()).toBe(204)
    await close()
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
