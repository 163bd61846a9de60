/** What the guides show is what runs here: every block of code comes out of a sample, and every sample is run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DomainEvent } from '@org/core'
import { fakeClock, type OpenDatabase, testDatabases } from '@org/core/testing'
import { createWebhooks, defaultEventTypes, memoryStorage, webhooksErrors, webhooksEvents } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { AttemptError, DeliveryStatus } from '../src/deliveries/schema.js'
import { loopback, receiver } from './receiver.js'
import * as calls from './samples/calls.js'
import { createApp as expressApp } from './samples/express.js'
import * as guides from './samples/guides.js'
import { createApp as koaApp } from './samples/koa.js'
import * as migration from './samples/migration.js'
import * as pages from './samples/pages.js'
import { keyCreated } from './world.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const folder = new URL('../../../docs/webhooks/', import.meta.url)
const pageNames = readdirSync(folder).filter((name) => name.endsWith('.md'))
const page = (name: string) => readFileSync(new URL(name, folder), 'utf8')
const readme = read('../README.md')
/** Samples are indented as their files are, blocks as the guide is. */
const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()
const logger = { debug() {}, info() {}, warn() {}, error() {} }

async function listen(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('the guides', () => {
  it('show code that is run', () => {
    const samples = readdirSync(new URL('samples/', import.meta.url)).map((name) => flat(read(`./samples/${name}`)))
    // What `receiving.md` shows is run by receiver.http.test.ts.
    const texts = [readme, ...pageNames.filter((name) => name !== 'receiving.md').map(page)]
    const blocks = texts.flatMap((text) => [...text.matchAll(/^```ts\n(.*?)^```/gms)])
    expect(blocks.length).toBeGreaterThan(8)
    for (const [, block = ''] of blocks) {
      const shown = samples.some((sample) => sample.includes(flat(block)))
      expect(shown, `not in a sample:\n${block}`).toBe(true)
    }
  })

  it('list every route, event type and error of ours', () => {
    const { http } = createWebhooks({ logger })
    const tables = page('reference.md').replace(/ +/g, ' ')
    for (const { method, path, can } of http.routes) {
      const [action, subject] = can as [string, string]
      expect(tables).toContain(`| \`${method} ${path}\` | \`${subject}:${action}\` |`)
    }
    for (const { code, status } of Object.values(webhooksErrors)) {
      expect(tables).toContain(`| \`${code}\` | ${status} |`)
    }
    for (const name of Object.keys(webhooksEvents)) expect(tables).toContain(`\`${name}\``)
    for (const name of Object.keys(defaultEventTypes)) expect(page('publishing.md')).toContain(`\`${name}\``)
    for (const error of AttemptError.options) expect(page('retries.md')).toContain(`| \`${error}\` |`)
    for (const status of DeliveryStatus.options) expect(page('retries.md')).toContain(`| \`${status}\` |`)
  })

  it('lead to pages and headings that are there', () => {
    const anchor = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-')
    const links = pageNames.flatMap((name) =>
      [...page(name).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(([, to = '', heading]) => ({
        name,
        to,
        heading,
      })),
    )
    expect(links.length).toBeGreaterThan(30)
    for (const link of links) {
      const target = new URL(link.to || link.name, folder)
      expect([link, existsSync(target)]).toEqual([link, true])
      if (link.heading === undefined) continue
      const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => anchor(text))
      expect(headings, JSON.stringify(link)).toContain(link.heading)
    }
    for (const name of pageNames) if (name !== 'README.md') expect(page('README.md')).toContain(`](${name})`)
  })

  it('name a test for each guarantee, each capability, and each way of others to lose messages', () => {
    const section = (title: string) =>
      new RegExp(`^## ${title}$(.*?)(?=^## |$(?![\\s\\S]))`, 'ms').exec(page('guarantees.md'))?.[1] ?? ''
    const lines = [
      ...(section('What holds').match(/^- .*$/gm) ?? []),
      ...(section('What it does').match(/^\| (?!---|Capability).*$/gm) ?? []),
      ...(section('How others lose or repeat messages').match(/^\| (?!---|What goes).*$/gm) ?? []),
    ]
    expect(lines.length).toBeGreaterThan(50)
    for (const line of lines) {
      const files = [...line.matchAll(/`([\w.-]+\.test\.ts)`/g)].map(([, file = '']) => file)
      expect(files, line).not.toEqual([])
      for (const file of files) expect([file, existsSync(new URL(file, import.meta.url))]).toEqual([file, true])
    }
  })
})

for (const target of await testDatabases()) {
  it.skipIf(target.missing)(`the migration of the guide is one of the host's own on ${target.name}`, async () => {
    const { knex, close } = await target.open()
    try {
      await knex.migrate.latest({
        migrationSource: {
          getMigrations: async () => ['001-webhooks'],
          getMigrationName: (name: string) => name,
          getMigration: async () => migration,
        },
      })
      expect(await migrate(knex)).toEqual([])
    } finally {
      await close()
    }
  })
}

describe('the samples', () => {
  let database: OpenDatabase
  beforeEach(async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    if (!sqlite) throw new Error('SQLite is always there')
    database = await sqlite.open()
    await database.knex.schema.createTable('keys', (table) => {
      table.text('id').primary()
      table.text('name')
    })
  })
  afterEach(() => database.close())

  for (const [name, createApp, path] of [
    ['Express', expressApp, '/keys'],
    ['Koa', koaApp, '/keys/key_1'],
  ] as const) {
    it(`mount and publish on ${name}`, async () => {
      const { app, worker } = await createApp(database.knex)
      if ('callback' in app) app.silent = true // the refused insert below
      const base = await listen(('callback' in app ? app.callback() : app) as RequestListener)
      const ask = (token: string, method: string, path: string, body: object) =>
        fetch(base + path, {
          method,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      const endpoint = { url: 'https://hooks.invalid/in', eventTypes: ['key.*'] }
      expect((await ask('nobody', 'POST', '/api/webhooks/endpoints', endpoint)).status).toBe(401)
      expect((await ask('olga-1', 'POST', '/api/webhooks/endpoints', endpoint)).status).toBe(201)
      expect((await ask('olga-1', 'POST', path, { id: 'key_1', name: 'Production' })).status).toBe(201)
      // The same key again: the insert fails, and with it the webhook.
      expect((await ask('olga-1', 'POST', path, { id: 'key_1', name: 'Production' })).status).toBe(500)
      await worker.stop()
      const { deliveries } = createWebhooks({ logger, storage: knexStorage(database.knex) })
      const { data } = await deliveries.list({ tenantId: 'acme' })
      expect(data).toMatchObject([{ eventType: 'key.created' }])
    })
  }

  it('do what the guide says', async () => {
    const webhooks = createWebhooks({ storage: memoryStorage() })
    expect(await calls.register(webhooks)).toMatch(/^whsec_/)
    const own = await calls.typed(memoryStorage())
    expect(own.http.routes.length).toBe(webhooks.http.routes.length)
    const hearing = calls.ownEvents(memoryStorage())
    await hearing.endpoints.create({ tenantId: 'acme' }, { url: 'https://hooks.example.com/in' })
    const { data: told } = await hearing.deliveries.list({ tenantId: 'acme' })
    expect(told.map(({ eventType }) => eventType)).toEqual(['endpoint.created'])
    const inside = calls.insideANetwork(memoryStorage())
    const { url } = await inside.endpoints.create({ tenantId: 'acme' }, { url: 'http://10.20.0.9/in' })
    expect(url).toBe('http://10.20.0.9/in')
    const target = await receiver()
    expect(await calls.tested(target.url, fakeClock())).toEqual({
      delivered: 1,
      rescheduled: 0,
      deadLettered: 0,
      held: 0,
      canceled: 0,
    })
  })

  it('work on dead letters, and hear each other', async () => {
    await migrate(database.knex)
    const heard: DomainEvent[] = []
    const { webhooks, eventsOfOthers } = calls.wired(database.knex, (event) => void heard.push(event))
    await calls.register(webhooks)
    expect(eventsOfOthers.length).toBe(2)
    expect(heard.map(({ type }) => type)).toEqual(['endpoint.created'])
    await webhooks.publish({ ...keyCreated, tenantId: 'acme' })
    const [delivery] = (await webhooks.deliveries.list({ tenantId: 'acme' })).data
    const id = delivery?.id ?? ''
    await knexStorage(database.knex).run(({ deliveries }) => deliveries.update(id, { status: 'dead_letter' }))
    const { dead } = await calls.operate(webhooks, id)
    expect(dead.data.map((row) => row.id)).toEqual([id])
    expect(heard.at(-1)?.type).toBe('delivery.redriven')
  })
})

it('the further pages show what runs', async () => {
  const types = { 'order.paid': z.object({ orderId: z.string() }) }
  const webhooks = createWebhooks({ storage: memoryStorage(), logger, network: loopback })
  const app = express()
  pages.healthRoute(app, webhooks)
  const requests = pages.told(app, webhooks, () => 'acme')
  const url = await listen(app)
  expect(await (await fetch(`${url}/health/webhooks`)).json()).toMatchObject({ ok: true, lagMs: null })
  await requests.flush()
  expect(pages.described(webhooks)).toHaveProperty('webhooks')
  pages.kept(memoryStorage())

  const target = await receiver()
  const shop = createWebhooks({ storage: memoryStorage(), eventTypes: types, logger, network: loopback })
  const { id, secret } = await shop.endpoints.create({ tenantId: 'acme' }, { url: target.url })
  await shop.publish({ tenantId: 'acme', type: 'order.paid', data: { orderId: 'o_1' } })
  await shop.drain()
  const [received] = target.received
  expect(pages.consumed(secret, received?.headers ?? {}, received?.body ?? '')).toBe('o_1')
  expect(
    await pages.recovered(
      webhooks,
      { tenantId: 'acme' },
      (await webhooks.endpoints.create({ tenantId: 'acme' }, { url: target.url })).id,
    ),
  ).toMatchObject({ status: 'running' })
  expect(id).toMatch(/^ep_/)
})

it('the guides to the first steps, to retries and to security show what runs', async () => {
  const quiet = { storage: memoryStorage(), logger, network: loopback }
  const webhooks = createWebhooks(quiet)
  const scope = { tenantId: 'acme' }
  const target = await receiver()
  const { id, secret } = await webhooks.endpoints.create(scope, { url: target.url, metadata: { owner: 'olga' } })
  expect(await guides.tried(webhooks, scope, id)).toBe(200)
  await guides.hurried(webhooks, scope, id)
  const changed = { retryScheduleMs: [0, 60_000, 3_600_000], timeoutMs: 5_000 }
  expect(await webhooks.endpoints.get(scope, id)).toMatchObject(changed)
  const second = await guides.rotated(webhooks, scope, id)
  expect(second).toMatch(/^whsec_/)
  expect(second).not.toBe(secret)

  expect(() => guides.proxied(memoryStorage())).not.toThrow()
  expect(() => guides.scheduled(memoryStorage(), () => {})).not.toThrow()
  const storage = memoryStorage()
  const sealing = guides.sealed(storage, Buffer.alloc(32, 7).toString('base64'))
  const made = await sealing.endpoints.create(scope, { url: 'https://hooks.example.com/in' })
  const stored = await storage.read(({ endpoints }) => endpoints.get('acme', made.id))
  expect(stored?.secrets[0]?.value).toMatch(/^enc:1:2026-01:/)
  // Nobody is there to answer it.
  const unanswered = guides.challenged(memoryStorage(), scope, 'https://hooks.invalid/in')
  await expect(unanswered).rejects.toMatchObject({ code: 'challenge_failed' })
}, 30_000)
