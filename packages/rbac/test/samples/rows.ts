/** What the guide about rows shows, each run by a test. */
import { createMongoAbility } from '@casl/ability'
import {
  conditionsMatcher,
  contextOf,
  createRbac,
  defineResources,
  predefinedResources,
  predefinedRoles,
} from '@org/rbac'
import { requirePermission } from '@org/rbac/express'
import { accessibleBy, knexStorage } from '@org/rbac/knex'
import type { Express, Request } from 'express'
import type { Knex } from 'knex'
import { signedIn } from './sign-in.js'

export function createBlog(knex: Knex) {
  const rbac = createRbac({
    storage: knexStorage(knex),
    resources: defineResources({ ...predefinedResources, posts: ['create', 'read', 'update', 'delete'] }),
    roles: {
      ...predefinedRoles,
      author: {
        permissions: ['posts:create'],
        rules: [
          { effect: 'allow', permission: 'posts:read', when: { status: 'published' } },
          { effect: 'allow', permission: 'posts:*', when: { author_id: { var: 'userId' } } },
          { effect: 'deny', permission: 'posts:delete', when: { locked: true } },
        ],
      },
    },
  })
  return rbac
}

export type Blog = ReturnType<typeof createBlog>

export function addRoutes(app: Express, knex: Knex, rbac: Blog) {
  const context = rbac.context((req: Request) => signedIn(req.get('authorization')))

  // One post: the guard looks at it.
  const post = (req: Request, { tenantId }: { tenantId: string }) =>
    knex('posts').where({ tenant_id: tenantId, id: req.params.id }).first()
  app.delete('/posts/:id', requirePermission(rbac, 'posts', 'delete', { context, row: post }), async (req, res) => {
    await knex('posts')
      .where({ tenant_id: contextOf(req)?.tenantId, id: req.params.id })
      .delete()
    res.sendStatus(204)
  })

  // A list: the database leaves out what the caller may not read.
  app.get('/posts', async (req, res) => {
    const caller = await context(req)
    if (!caller) return void res.sendStatus(401)
    const posts = knex('posts').select('id', 'title').where({ tenant_id: caller.tenantId })
    res.json(await accessibleBy(posts, caller.ability, 'read', 'posts').orderBy('id').limit(50))
  })
}

export async function rename(knex: Knex, rbac: Blog, tenantId: string, userId: string, id: number, title: string) {
  const ability = await rbac.abilityFor({ tenantId, userId })
  const post = knex('posts').where({ tenant_id: tenantId, id })
  const renamed = await accessibleBy(post, ability, 'update', 'posts').update({ title })
  return renamed === 1
}

export async function withTeams(knex: Knex, rbac: Blog, tenantId: string, userId: string) {
  const ability = await rbac.abilityFor({ tenantId, userId })
  const rows = knex('teams as t').join('posts as p', 'p.team_id', 't.id').where('p.tenant_id', tenantId)
  return accessibleBy(rows, ability, 'read', 'posts', { table: 'p' }).select('p.title', 't.name').orderBy('p.id')
}

export async function byIndex(knex: Knex, rbac: Blog, tenantId: string, userId: string) {
  const ability = await rbac.abilityFor({ tenantId, userId })
  const types = { team_id: 'number', author_id: 'text' } as const
  const posts = knex('posts').where({ tenant_id: tenantId })
  return accessibleBy(posts, ability, 'read', 'posts', { types }).orderBy('id')
}

export async function ownAbility(knex: Knex) {
  const rules = [
    { action: 'read', subject: 'posts' },
    { action: 'read', subject: 'posts', inverted: true, conditions: { authorId: 'bob', views: { $lt: 10 } } },
  ]
  const ability = createMongoAbility(rules, { conditionsMatcher })
  return accessibleBy(knex('posts'), ability, 'read', 'posts', { columns: { authorId: 'author_id' } })
}
