/** What a host does with `accessibleBy`, and what somebody tries to do to it. */
import { createMongoAbility, defineAbility, type MongoAbility, type MongoQuery, subject } from '@casl/ability'
import { type Ability, isProblem } from '@org/core'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import type { PredefinedResources, RbacAbility } from '@org/rbac'
import { type AccessibleByOptions, accessibleBy } from '@org/rbac/knex'
import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { createAbility } from '../src/permissions/ability.js'
import { Catalog } from '../src/permissions/catalog.js'
import { conditionsMatcher } from '../src/permissions/conditions/matcher.js'
import { defineResources } from '../src/permissions/resources.js'
import type { HeldRule } from '../src/permissions/rule.js'

type Conditions = Record<string, unknown>

/** Rules as of our abilities: `+` allows and `-` denies, the last that matches decides. */
function abilityOf(...rules: [effect: '+' | '-', conditions?: Conditions, fields?: string[]][]): MongoAbility {
  const raw = rules.map(([effect, conditions, fields]) => ({
    action: 'read',
    subject: 'posts',
    inverted: effect === '-',
    ...(conditions && { conditions: conditions as MongoQuery }),
    ...(fields && { fields }),
  }))
  return createMongoAbility(raw, { conditionsMatcher })
}

const posts = [
  { id: 1, team_id: 1, authorId: 'ann', status: 'draft', score: 5, big: 5, locked: false },
  { id: 2, team_id: 1, authorId: 'bob', status: 'published', score: null, big: null, locked: null },
  { id: 3, team_id: 2, authorId: 'Ann', status: null, score: 7, big: 9007199254740991, locked: true },
  { id: 4, team_id: 2, authorId: 'ann ', status: '7.0', score: 0, big: 0, locked: false },
  { id: 5, team_id: 2, authorId: null, status: "it's; -- ?", score: 1, big: 1, locked: true },
]

function problem(work: () => unknown): { code: string; detail: string } {
  try {
    work()
  } catch (error) {
    if (isProblem(error)) return { code: error.code, detail: error.detail ?? '' }
    throw error
  }
  return { code: 'nothing was thrown', detail: '' }
}

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`accessibleBy on ${name}`, () => {
    let database: OpenDatabase
    let knex: Knex

    beforeAll(async () => {
      database = await open({ pool: 1 })
      knex = database.knex
      await knex.schema.createTable('teams', (table) => {
        table.integer('id')
        table.string('status')
      })
      await knex.schema.createTable('posts', (table) => {
        table.integer('id')
        table.integer('team_id')
        table.string('authorId').index('posts_author')
        table.string('status')
        table.integer('score').index('posts_score')
        table.bigInteger('big')
        table.boolean('locked')
      })
      await knex('teams').insert([
        { id: 1, status: 'open' },
        { id: 2, status: 'closed' },
      ])
      await knex('posts').insert(posts)
    })
    afterAll(() => database.close())

    const ids = (query: Knex.QueryBuilder, table = 'posts') => query.orderBy(`${table}.id`).pluck(`${table}.id`)
    const selected = (ability: Ability) => ids(accessibleBy(knex('posts'), ability, 'read', 'posts'))
    const where = (conditions: Conditions) => selected(abilityOf(['+', conditions]))

    it('no rule is no row, an unconditional allow leaves the query alone', async () => {
      expect(await selected(abilityOf())).toEqual([])
      expect(await selected(abilityOf(['-']))).toEqual([])
      expect(await selected(abilityOf(['+'], ['-']))).toEqual([])
      const query = knex('posts').where('score', 1)
      const before = query.toString()
      expect(accessibleBy(query, abilityOf(['-'], ['+']), 'read', 'posts')).toBe(query)
      expect(query.toString()).toBe(before)
      for (const [action, resource] of [
        ['erase', 'posts'],
        ['read', 'comments'],
        ['read', 'Posts'],
      ] as const) {
        expect(await ids(accessibleBy(knex('posts'), abilityOf(['+']), action, resource))).toEqual([])
      }
    })

    it('a deny or `$ne` takes no row away because of a NULL', async () => {
      expect(await selected(abilityOf(['+'], ['-', { status: 'draft' }]))).toEqual([2, 3, 4, 5])
      expect(await where({ status: { $ne: 'draft' } })).toEqual([2, 3, 4, 5])
      expect(await where({ status: { $nin: ['draft', 'published'] } })).toEqual([3, 4, 5])
      expect(await where({ status: { $nin: ['draft', null] } })).toEqual([2, 4, 5])
      expect(await selected(abilityOf(['+'], ['-', { score: { $lt: 5 } }]))).toEqual([1, 2, 3])
      expect(await where({ locked: { $ne: true } })).toEqual([1, 2, 4])
      expect(await where({ locked: null })).toEqual([2])
      expect(await where({ score: { $ne: null } })).toEqual([1, 3, 4, 5])
    })

    it('the last rule that matches decides, in any order of allows and denies', async () => {
      const inTeam2: Conditions = { team_id: 2 }
      expect(await selected(abilityOf(['+'], ['-', inTeam2], ['+', { id: 4 }]))).toEqual([1, 2, 4])
      expect(await selected(abilityOf(['+', { id: 4 }], ['-', inTeam2], ['+', { team_id: 1 }]))).toEqual([1, 2])
      expect(await selected(abilityOf(['-', inTeam2], ['+']))).toEqual([1, 2, 3, 4, 5])
      expect(await selected(abilityOf(['+'], ['-', inTeam2], ['+', { id: 4 }], ['-', { score: 0 }]))).toEqual([1, 2])
      expect(await selected(abilityOf(['+'], ['-'], ['+', inTeam2], ['-', { id: 3 }, ['title']]))).toEqual([3, 4, 5])
    })

    it('rules about some fields: an allow gives the row, a deny hides none', async () => {
      const ability = abilityOf(['+', { team_id: 2 }, ['title']], ['-', { id: 3 }, ['title']])
      expect(await selected(ability)).toEqual([3, 4, 5])
      for (const post of posts) expect(ability.can('read', subject('posts', { ...post }))).toBe(post.team_id === 2)
      const about = (field: string) => ids(accessibleBy(knex('posts'), ability, 'read', 'posts', { field }))
      expect(await about('title')).toEqual([4, 5])
      expect(await about('body')).toEqual([])
    })

    it('text is compared byte by byte, whatever the collation', async () => {
      expect(await where({ authorId: 'ann' })).toEqual([1])
      expect(await where({ authorId: { $in: ['ANN', 'ann ', 'Änn'] } })).toEqual([4])
      expect(await where({ authorId: { $gt: 'ann' } })).toEqual([2, 4])
      expect(await where({ authorId: { $lte: 'Ann' } })).toEqual([3])
      if (name !== 'postgres') return
      // An ICU collation for which equal is not identical.
      await knex.raw(`create collation ignoring (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`)
      await knex.raw(`create table loose (id integer, "authorId" text collate ignoring)`)
      await knex('loose').insert(posts.map(({ id, authorId }) => ({ id, authorId })))
      expect(await ids(knex('loose').where({ authorId: 'ann' }), 'loose')).toEqual([1, 3, 4].slice(0, 2))
      const ability = abilityOf(['+', { authorId: 'ann' }], ['+', { authorId: { $gt: 'b', $ne: 7 } }])
      expect(await ids(accessibleBy(knex('loose'), ability, 'read', 'posts'), 'loose')).toEqual([1, 2])
    })

    it('no column is coerced, and no type is an error', async () => {
      // MySQL takes every text for 0, and PostgreSQL refuses to compare.
      expect(await where({ score: 'ann' })).toEqual([])
      expect(await where({ score: { $ne: 'ann' } })).toEqual([1, 2, 3, 4, 5])
      expect(await where({ score: { $gt: 'a' } })).toEqual([])
      expect(await where({ authorId: 0 })).toEqual([])
      expect(await where({ authorId: { $lt: 5 } })).toEqual([])
      expect(await where({ authorId: { $ne: 0 } })).toEqual([1, 2, 3, 4, 5])
      expect(await where({ locked: 'true' })).toEqual([])
      expect(await where({ locked: 'false' })).toEqual([])
      expect(await where({ locked: { $gt: 'a' } })).toEqual([])
      expect(await where({ score: true })).toEqual([5])
      expect(await where({ locked: 1 })).toEqual([3, 5])
      expect(await where({ score: 0.5 })).toEqual([])
      // Ids of users are text here, and may be integers in a table.
      expect(await where({ id: '3' })).toEqual([3])
      expect(await where({ id: { $in: ['03', '3 ', '3.0', ' 4', '5'] } })).toEqual([5])
      expect(await where({ big: '9007199254740991' })).toEqual([3])
      expect(await where({ big: { $gt: 5 } })).toEqual([3])
      // Text that writes a number equals the number, and no other text.
      expect(await where({ status: 7 })).toEqual([4])
      expect(await where({ status: '7' })).toEqual([])
    })

    it('is as good for an update or a delete, in the strict mode of MySQL as well', async () => {
      await knex
        .transaction(async (tx) => {
          const ability = abilityOf(['+', { authorId: { $in: [0, 'bob'] }, score: { $ne: 'x' } }], ['-', { id: 'ann' }])
          expect(await accessibleBy(tx('posts'), ability, 'read', 'posts').update({ status: 'seen' })).toBe(1)
          expect(await accessibleBy(tx('posts'), ability, 'read', 'posts').delete()).toBe(1)
          expect(await ids(tx('posts'))).toEqual([1, 3, 4, 5])
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect(await knex('posts')).toHaveLength(5)
    })

    it('cannot be widened by what stands before it', async () => {
      const ability = abilityOf(['+', { team_id: 1 }], ['+', { id: 4 }])
      const chains: [(query: Knex.QueryBuilder) => Knex.QueryBuilder, number[]][] = [
        [(query) => query.where('id', 1).orWhere('id', 3), [1]],
        [(query) => query.where('id', 3).orWhere('id', 4).orWhereNull('status'), [4]],
        [(query) => query.whereNot('id', 1).orWhereRaw('1 = 1'), [1, 2, 4]],
        [(query) => query.whereIn('id', [1, 3]).orWhere((group) => group.where('id', 2).orWhere('id', 5)), [1, 2]],
        [(query) => query.whereExists(knex('teams').whereRaw('teams.id = posts.team_id')).orWhere('id', 1), [1, 2, 4]],
        [(query) => query.orWhere('id', 5), []],
      ]
      for (const [chain, expected] of chains) {
        expect(await ids(accessibleBy(chain(knex('posts')), ability, 'read', 'posts'))).toEqual(expected)
        const twice = accessibleBy(
          accessibleBy(chain(knex('posts')), ability, 'read', 'posts'),
          ability,
          'read',
          'posts',
        )
        expect(await ids(twice.clone())).toEqual(expected)
      }
      const narrowed = accessibleBy(knex('posts'), ability, 'read', 'posts').where('id', '>', 1).limit(1)
      expect(await ids(narrowed)).toEqual([2])
      // One after it goes into parentheses of its own.
      const after = accessibleBy(knex('posts'), ability, 'read', 'posts').where((or) =>
        or.where('id', 3).orWhere('id', 4),
      )
      expect(await ids(after)).toEqual([4])
    })

    it('works with joins, aliases, subqueries and inside of a transaction', async () => {
      const ability = abilityOf(['+', { status: 'draft', id: 1 }], ['-', { status: 'open' }])
      const joined = knex('posts').join('teams', 'teams.id', 'posts.team_id')
      expect(await ids(accessibleBy(joined, ability, 'read', 'posts'))).toEqual([1])
      for (const table of ['posts as p', { p: 'posts' }, 'posts AS p']) {
        const aliased = knex(table as string).join('teams as t', 't.id', 'p.team_id')
        expect(await ids(accessibleBy(aliased, ability, 'read', 'posts'), 'p')).toEqual([1])
      }
      const other = knex('teams').join('posts as p', 'teams.id', 'p.team_id')
      expect(await ids(accessibleBy(other, ability, 'read', 'posts', { table: 'p' }), 'p')).toEqual([1])
      const teams = knex('teams').whereIn('id', accessibleBy(knex('posts').select('team_id'), ability, 'read', 'posts'))
      expect(await ids(teams, 'teams')).toEqual([1])
      const derived = knex.from(knex('posts').where('id', '<', 3).as('some'))
      expect(await ids(accessibleBy(derived, ability, 'read', 'posts'), 'some')).toEqual([1])
      const callback = knex('posts').where(function () {
        accessibleBy(this, ability, 'read', 'posts', { table: 'posts' })
      })
      expect(await ids(callback)).toEqual([1])
      // The pool holds one connection: a query that escaped would wait for ever.
      await knex.transaction(async (tx) => {
        await tx('posts').insert({ id: 6, team_id: 1, status: 'draft' })
        const drafts = abilityOf(['+', { status: 'draft' }])
        expect(await ids(accessibleBy(tx('posts'), drafts, 'read', 'posts'))).toEqual([1, 6])
        expect(await ids(accessibleBy(knex('posts').transacting(tx), drafts, 'read', 'posts'))).toEqual([1, 6])
        await tx('posts').where('id', 6).delete()
      })
    })

    it('takes columns of another name', async () => {
      const ability = abilityOf(['+', { teamId: 2, state: null }], ['+', { 'author.id': 'bob' }])
      const loose = createMongoAbility([{ action: 'read', subject: 'posts', conditions: { 'author.id': 'bob' } }])
      const columns = { teamId: 'team_id', state: 'posts.status', 'author.id': 'authorId' }
      expect(
        await ids(
          accessibleBy(knex('posts'), abilityOf(['+', { teamId: 2, state: null }]), 'read', 'posts', { columns }),
        ),
      ).toEqual([3])
      expect(await ids(accessibleBy(knex('posts'), loose, 'read', 'posts', { columns }))).toEqual([2])
      expect(problem(() => accessibleBy(knex('posts'), ability, 'read', 'posts', { columns })).code).toBe('setup_error')
      const snake = database.connect({ pool: 1 })
      snake.client.config.wrapIdentifier = (value: string, wrap: (value: string) => string) =>
        wrap(value === 'teamId' ? 'team_id' : value)
      expect(await ids(accessibleBy(snake('posts'), abilityOf(['+', { teamId: 1 }]), 'read', 'posts'))).toEqual([1, 2])
      await snake.destroy()
    })

    it('values are never a part of the statement', async () => {
      const hostile = [
        "' or 1=1 --",
        "it's; -- ?",
        '?',
        '??',
        ':id',
        '\\',
        "\\' or 1=1 -- ",
        '$1',
        '"',
        '`',
        '%',
        '\u0008',
        '\u001a',
        '\n',
        '\u{1f600}',
      ]
      for (const value of hostile) {
        const expected = value === "it's; -- ?" ? [5] : []
        expect(await where({ status: value })).toEqual(expected)
        expect(await where({ status: { $in: [value, value] } })).toEqual(expected)
        expect(await where({ status: { $gte: value, $lte: value } })).toEqual(expected)
        expect((await where({ status: { $ne: value } })).length).toBe(5 - expected.length)
        const { sql } = accessibleBy(knex('posts'), abilityOf(['+', { status: `x${value}` }]), 'read', 'posts').toSQL()
        expect(sql).not.toContain(`x${value}`)
      }
    })

    it('field names reach the statement only if they are names', () => {
      const names = [
        'id" = 1 or 1=1 --',
        'id` = 1 or 1=1 --',
        'id or 1=1',
        'id as x',
        '*',
        'posts.id',
        '?',
        '??',
        '',
        '1',
        'id--',
      ]
      for (const field of [...names, 'constructor', 'toString', '__proto__', '__caslSubjectType__']) {
        const conditions = JSON.parse(JSON.stringify({ x: 1 }).replace('x', field.replaceAll('"', '\\"')))
        for (const options of [{ conditionsMatcher }, {}]) {
          const ability = createMongoAbility([{ action: 'read', subject: 'posts', conditions }], options)
          expect(problem(() => accessibleBy(knex('posts'), ability, 'read', 'posts')).code, field).toBe('setup_error')
        }
      }
    })

    it('CASL 7, trap 2: what cannot be turned into SQL is an error, never left out', () => {
      const own = (conditions: unknown, inverted = false) =>
        createMongoAbility([{ action: 'read', subject: 'posts', conditions: conditions as MongoQuery, inverted }])
      for (const conditions of [
        { $or: [{ id: 1 }] },
        { id: { $foo: 1 } },
        { id: { $gt: 1, $foo: 1 } },
        { status: { $regex: '^a' } },
        { status: /a/ },
        { status: { $exists: true } },
        { tags: { $all: ['a'] } },
        { tags: { $size: 1 } },
        { tags: { $elemMatch: { a: 1 } } },
        { tags: ['a'] },
        { createdAt: new Date(0) },
        { createdAt: { $lt: new Date(0) } },
        { id: { a: 1 } },
        { id: 1n },
        { id: Number.NaN },
        { status: 'a\0' },
        { status: '\ud800' },
      ]) {
        for (const inverted of [false, true]) {
          const work = () => accessibleBy(knex('posts'), own(conditions, inverted), 'read', 'posts')
          expect(problem(work).code, JSON.stringify(Object.keys(conditions))).toBe('setup_error')
        }
      }
      const rules = [{ action: 'read', subject: 'posts', conditions: () => true }]
      const lambda = createMongoAbility(rules as never, { conditionsMatcher: (matches) => matches as never })
      expect(problem(() => accessibleBy(knex('posts'), lambda, 'read', 'posts')).detail).toMatch(/SQL/)
    })

    it('CASL 7, trap 3: an undefined value is an error, not a row without one', () => {
      for (const value of [undefined, { $eq: undefined }, { $ne: undefined }, { $in: [undefined] }]) {
        const ability = createMongoAbility([
          { action: 'read', subject: 'posts', conditions: { team_id: value as never } },
        ])
        expect(problem(() => accessibleBy(knex('posts'), ability, 'read', 'posts')).code).toBe('setup_error')
      }
    })

    it('an ability that is none, or a query that is none, is a set-up error', () => {
      const ability = abilityOf(['+'])
      const wrong: unknown[][] = [
        [knex('posts'), { can: () => true }, 'read', 'posts'],
        [knex('posts'), ability, '', 'posts'],
        [knex('posts'), ability, undefined, 'posts'],
        [knex('posts'), ability, 'read', undefined],
        [knex('posts'), ability, 'read', ''],
        [knex('posts'), ability, ['read'], 'posts'],
        [knex('posts'), ability, 'read', 'posts', { field: '' }],
        [knex('posts').insert({ id: 7 }), ability, 'read', 'posts'],
        [knex('posts').truncate(), ability, 'read', 'posts'],
        [knex('posts').where('id', 1).union(knex('posts')), ability, 'read', 'posts'],
        [knex, ability, 'read', 'posts'],
        [knex.raw('select 1'), ability, 'read', 'posts'],
        [undefined, ability, 'read', 'posts'],
      ]
      for (const [i, given] of wrong.entries()) {
        const work = () => (accessibleBy as (...args: unknown[]) => unknown)(...given)
        expect(problem(work).code, String(i)).toBe('setup_error')
      }
    })

    it('an ability of the host’s own with CASL’s matcher keeps CASL’s order of null', async () => {
      for (const score of [{ $lt: 5 }, { $lte: 0 }, { $gt: -1 }, { $gte: -1 }, { $gt: 1 }, { $gte: 0 }]) {
        const ability = defineAbility((can, cannot) => {
          can('read', 'posts')
          cannot('read', 'posts', { score })
          can('read', 'posts', { status: { $lt: 'e' } })
        })
        const allowed = posts.filter((post) => ability.can('read', subject('posts', { ...post }))).map(({ id }) => id)
        expect(await selected(ability), JSON.stringify(score)).toEqual(allowed)
      }
    })

    it('knows our own abilities: variables, denies before allows, and no name that the catalog lacks', async () => {
      const catalog = new Catalog(defineResources({ posts: ['read', 'delete'], comments: ['read'] }))
      const via = { assignmentId: 'asg_1', role: 'author', path: ['author'] }
      const rules: HeldRule[] = [
        { effect: 'deny', permission: 'posts:*', when: { locked: true }, via, expiresAt: null },
        { effect: 'allow', permission: '*:read', when: { team_id: { var: 'tenantId' } }, via, expiresAt: null },
        { effect: 'allow', permission: 'posts:delete', when: { authorId: { var: 'userId' } }, via, expiresAt: null },
      ]
      const { ability } = createAbility(catalog, { rules, userId: 'bob', tenantId: '2' })
      const may = (action: string, resource: string) => ids(accessibleBy(knex('posts'), ability, action, resource))
      expect(await may('read', 'posts')).toEqual([4])
      expect(await may('delete', 'posts')).toEqual([2])
      expect(await may('read', 'comments')).toEqual([3, 4, 5])
      const owner = createAbility(catalog, {
        rules: [{ effect: 'allow', permission: '*', via, expiresAt: null }],
        userId: 'olga',
        tenantId: '1',
      }).ability
      expect(await ids(accessibleBy(knex('posts'), owner, 'read', 'posts'))).toHaveLength(5)
      for (const [action, resource] of [
        ['erase', 'posts'],
        ['read', 'post'],
        ['delete', 'comments'],
      ] as const) {
        expect(await ids(accessibleBy(knex('posts'), owner, action, resource))).toEqual([])
      }
    })

    it('a thousand grants are one list, and a thousand rules no tree too deep', async () => {
      const one = createMongoAbility(
        Array.from({ length: 3000 }, (_, id) => ({ action: 'read', subject: 'posts', conditions: { id: `p${id}` } })),
        { conditionsMatcher },
      )
      expect(accessibleBy(knex('posts'), one, 'read', 'posts').toString().match(/ or /g)).toBeNull()
      expect(await selected(one)).toEqual([])
      const many = Array.from({ length: 1500 }, (_, i): ['+', Conditions] => ['+', { authorId: `a${i}`, score: i }])
      expect(await selected(abilityOf(...many, ['+', { id: '2', status: 'published' }]))).toEqual([2])
    })

    it('leaves the ability as it was', async () => {
      const ability = abilityOf(['+', { team_id: 2 }], ['-', { id: { $in: [3, 4] } }])
      const before = JSON.stringify(ability.rules)
      const frozen = Object.freeze(ability.rulesFor('read', 'posts').map((rule) => JSON.stringify(rule.conditions)))
      expect(await selected(ability)).toEqual([5])
      expect(await selected(ability)).toEqual([5])
      expect(JSON.stringify(ability.rules)).toBe(before)
      expect(ability.rulesFor('read', 'posts').map((rule) => JSON.stringify(rule.conditions))).toEqual(frozen)
    })

    it('uses the index of a text column, and with `types` that of any', async () => {
      await knex.transaction(async (tx) => {
        if (name === 'postgres') await tx.raw('set local enable_seqscan = off')
        const planOf = async (conditions: Conditions, options: AccessibleByOptions) => {
          const query = accessibleBy(tx('posts'), abilityOf(['+', conditions]), 'read', 'posts', options)
          const { sql, bindings } = query.toSQL()
          const plan = await tx.raw(
            `${name === 'sqlite' ? 'explain query plan' : 'explain'} ${sql}`,
            bindings as string[],
          )
          return JSON.stringify(plan.rows ?? plan)
        }
        const ofAuthor = { authorId: { $in: ['ann', 'bob'] } }
        if (name !== 'mariadb') expect(await planOf(ofAuthor, {})).toContain('posts_author')
        expect(await planOf(ofAuthor, { types: { authorId: 'text' } })).toContain('posts_author')
        for (const score of ['7', 7, true, { $in: [5, '7'] }, { $gt: 4, $lt: 9 }]) {
          expect(await planOf({ score }, { types: { score: 'number' } })).toContain('posts_score')
        }
      })
    })

    it('answers the same with `types`', async () => {
      const typed = (conditions: Conditions) => {
        const types = { id: 'number', score: 'number', big: 'number', authorId: 'text', status: 'text' } as const
        return ids(accessibleBy(knex('posts'), abilityOf(['+', conditions]), 'read', 'posts', { types }))
      }
      expect(await typed({ id: { $in: ['1', '02', '3 ', '4.0', 'x', ''] } })).toEqual([1])
      expect(await typed({ score: 'ann' })).toEqual([])
      expect(await typed({ score: { $ne: 'ann' } })).toEqual([1, 2, 3, 4, 5])
      expect(await typed({ score: { $gt: 0.5, $lt: 6.5 } })).toEqual([1, 5])
      expect(await typed({ score: { $in: [6.5, 1e20, 1e-7] } })).toEqual([])
      expect(await typed({ score: { $lt: 1e300 } })).toEqual([1, 3, 4, 5])
      expect(await typed({ big: { $in: ['9007199254740991', 5] } })).toEqual([3, 1].sort())
      expect(await typed({ authorId: { $in: ['ann', 'BOB', 0] } })).toEqual([1])
      expect(await typed({ status: 7 })).toEqual([4])
    })
  })
}

describe('the types of accessibleBy', () => {
  it('know the catalog, and keep the builder', () => {
    const check = (knex: Knex, ours: RbacAbility<PredefinedResources>, any: MongoAbility, least: Ability) => {
      const query = knex<{ id: string }>('keys').select('id')
      expectTypeOf(accessibleBy(query, ours, 'read', 'keys')).toEqualTypeOf<typeof query>()
      accessibleBy(query, ours, 'manage', 'keys')
      accessibleBy(knex('keys'), any, 'whatever', 'anything')
      accessibleBy(knex('keys'), least, 'whatever', 'anything', { table: 'k', columns: { ownerId: 'owner_id' } })
      // @ts-expect-error no such action
      accessibleBy(query, ours, 'erase', 'keys')
      // @ts-expect-error no such resource
      accessibleBy(query, ours, 'read', 'kyes')
      // @ts-expect-error a row is no resource
      accessibleBy(query, any, 'read', {})
    }
    expect(check).toBeTypeOf('function')
  })
})
