/** The guide to teams and invites does what it says. */
import { readFileSync } from 'node:fs'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { createRbac, memoryStorage, rbacErrors, rbacEvents } from '@org/rbac'
import { migrate } from '@org/rbac/knex'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as samples from './samples/team.js'

const guide = readFileSync(new URL('../../../docs/rbac/team.md', import.meta.url), 'utf8')
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const scope = { tenantId: 'acme' }

describe('the guide to teams and invites', () => {
  let database: OpenDatabase
  const mails: { to: string; subject: string; text: string }[] = []
  const mailer = { send: async (mail: (typeof mails)[number]) => void mails.push(mail) }
  const users = { verifiedEmails: async () => ['ann@acme.com'] }

  beforeEach(async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    if (!sqlite) throw new Error('SQLite is always there')
    database = await sqlite.open()
    mails.length = 0
  })
  afterEach(() => database.close())

  it('signs up, changes the team and hands ownership on', async () => {
    const { knex } = database
    await migrate(knex)
    await knex.schema.createTable('tenants', (table) => {
      for (const name of ['id', 'name']) table.text(name)
    })
    const rbac = samples.rbacWithInvites(knex, mailer, users)
    await samples.signUp(knex, rbac, { id: 'acme', name: 'Acme', userId: 'olga' })
    expect(await rbac.tenants.get(scope)).toMatchObject({ name: 'Acme' })
    await samples.changeTeam(rbac)
    await rbac.members.add(scope, { userId: 'otto' })
    await samples.handOver(rbac)
    expect((await rbac.members.list(scope)).data).toMatchObject([{ userId: 'otto', roles: ['owner'] }])
  })

  it('invites by mail, by link and with an order, and lets people in', async () => {
    const { knex } = database
    await migrate(knex)
    await knex.schema.createTable('seats', (table) => {
      for (const name of ['tenant_id', 'email']) table.text(name)
    })
    const rbac = samples.rbacWithInvites(knex, mailer, users)
    await rbac.tenants.create(scope, { ownerId: 'olga', name: 'Acme' })
    const { id, url } = await samples.invite(rbac)
    expect(mails).toEqual([
      { to: 'ann@acme.com', subject: 'Join Acme', text: expect.stringMatching(/join#invtok_[\w-]{43}$/) },
    ])
    expect(await rbac.invites.get(scope, id)).toMatchObject({ status: 'pending', sendError: null })
    const bob = await samples.inviteWithOrder(knex, rbac, mailer)
    expect(mails[1]).toMatchObject({ to: 'bob@acme.com' })
    expect(await samples.teamPage(rbac)).toEqual(['olga', 'bob@acme.com', 'ann@acme.com'])

    const token = (text = '') => text.split('#')[1] ?? ''
    expect(await samples.accept(rbac, bob, { userId: 'bob', verifiedEmail: 'bob@acme.com' })).toEqual({
      ...{ tenantId: 'acme', roles: ['developer'] },
    })
    await rbac.invites.accept({ token: token(mails[0]?.text), userId: 'ann' })
    await samples.accept(rbac, token(url), { userId: 'cyd', verifiedEmail: 'cyd@acme.com' })
    expect(await samples.teamPage(rbac)).toEqual(['cyd', 'ann', 'bob', 'olga'])
    expect((await rbac.invites.preview({ token: token(url) })).domains).toEqual(['acme.com'])
  })

  it('names every event and every error of them', () => {
    for (const type of Object.keys(rbacEvents)) {
      if (/^(?:tenant|member|ownership|invite)\./.test(type)) expect(guide).toContain(`\`${type}\``)
    }
    for (const { code } of Object.values(rbacErrors)) {
      if (/invite|member|owner/.test(code)) expect(guide).toContain(`\`${code}\``)
    }
    const rbac = createRbac({ logger, storage: memoryStorage() })
    for (const path of ['/invites/accept', '/invites/preview']) {
      expect(rbac.http.routes.some((route) => route.path === path)).toBe(true)
      expect(guide).toContain(`POST ${path}`)
    }
  })
})
