/** What docs/rbac/rows.md shows is what runs here. */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { migrate } from '@org/rbac/knex'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { operators } from '../src/permissions/conditions/schema.js'
import * as rows from './samples/rows.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const guide = read('../../../docs/rbac/rows.md')
const flat = (text: string) => text.replace(/^[ \t]+/gm, '').trim()

describe('the guide about rows', () => {
  it('shows code that is run, and every operator', () => {
    const sample = flat(read('./samples/rows.ts'))
    const blocks = [...guide.matchAll(/^```ts\n(.*?)^```/gms)]
    expect(blocks.length).toBeGreaterThan(4)
    for (const [, block = ''] of blocks) expect(sample).toContain(flat(block))
    for (const operator of operators) expect(guide).toContain(`\`${operator}\``)
  })
})

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`the samples about rows on ${name}`, () => {
    let database: OpenDatabase

    beforeEach(async () => {
      database = await open()
      const { knex } = database
      await migrate(knex)
      await knex.schema.createTable('teams', (table) => {
        table.integer('id')
        table.string('name')
      })
      await knex.schema.createTable('posts', (table) => {
        for (const column of ['id', 'team_id', 'views']) table.integer(column)
        for (const column of ['tenant_id', 'author_id', 'status', 'title']) table.string(column)
        table.boolean('locked')
      })
      await knex('teams').insert({ id: 1, name: 'Core' })
      const post = {
        tenant_id: 'acme',
        team_id: 1,
        author_id: 'dev',
        status: 'draft',
        title: 'A',
        locked: false,
        views: 1,
      }
      await knex('posts').insert([
        { ...post, id: 1 },
        { ...post, id: 2, locked: true },
        { ...post, id: 3, author_id: 'bob', status: 'published' },
        { ...post, id: 4, author_id: 'bob', locked: null },
        { ...post, id: 5, tenant_id: 'globex' },
        { ...post, id: 6, locked: null, author_id: null, status: 'published', title: null },
      ])
    })
    afterEach(() => database.close())

    it('do what the guide says', async () => {
      const { knex } = database
      const rbac = rows.createBlog(knex)
      await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'author' })
      const app = express()
      rows.addRoutes(app, knex, rbac)
      const server = app.listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const ask = (user: string, method: string, path: string) =>
        fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, {
          method,
          headers: { authorization: `Bearer ${user}-1` },
        })
      const list = async (user: string) => {
        const posts = (await (await ask(user, 'GET', '/posts')).json()) as { id: number }[]
        return posts.map(({ id }) => id)
      }
      const remove = async (id: number) => (await ask('dev', 'DELETE', `/posts/${id}`)).status
      expect((await ask('eve', 'GET', '/posts')).status).toBe(401)
      expect([await list('dev'), await list('olga')]).toEqual([[1, 2, 3, 6], []])
      expect([await remove(1), await remove(2), await remove(3), await remove(5)]).toEqual([204, 403, 403, 404])
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))

      expect(await rows.rename(knex, rbac, 'acme', 'dev', 2, 'B')).toBe(true)
      expect(await rows.rename(knex, rbac, 'acme', 'dev', 3, 'B')).toBe(false)
      expect(await rows.rename(knex, rbac, 'acme', 'dev', 5, 'B')).toBe(false)
      expect(await rows.withTeams(knex, rbac, 'acme', 'dev')).toEqual([
        { title: 'B', name: 'Core' },
        { title: 'A', name: 'Core' },
        { title: null, name: 'Core' },
      ])
      const typed: { id: number }[] = await rows.byIndex(knex, rbac, 'acme', 'dev')
      expect(typed.map(({ id }) => id)).toEqual([2, 3, 6])
      const found: { id: number }[] = await rows.ownAbility(knex)
      expect(found.map(({ id }) => id).sort()).toEqual([2, 5, 6])
    })
  })
}
