/** The condition language: what it takes, what it refuses, and how it decides about a row in memory. */
import { createMongoAbility, type MongoAbility, mongoQueryMatcher, subject } from '@casl/ability'
import { packRules, permittedFieldsOf, rulesToAST, unpackRules } from '@casl/ability/extra'
import { isProblem, parse } from '@org/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conditionsMatcher } from '../src/permissions/conditions/matcher.js'
import { Conditions, operators } from '../src/permissions/conditions/schema.js'
import { fillVariables } from '../src/permissions/conditions/variables.js'

const known = operators.join(', ')

function errorsOf(input: unknown): Record<string, string> {
  try {
    parse(Conditions, input, '/when')
  } catch (error) {
    if (isProblem(error)) return Object.fromEntries(error.errors?.map((field) => [field.pointer, field.detail]) ?? [])
    throw error
  }
  return {}
}

const code = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    return isProblem(error) ? error.code : `not a problem: ${String(error)}`
  }
  return 'nothing was thrown'
}

describe('stored conditions', () => {
  it('are values, variables and operators, and come out as they went in', () => {
    const conditions = {
      authorId: { var: 'userId' },
      tenantId: { $in: [{ var: 'tenantId' }, null] },
      score: { $gte: 1, $lt: 2.5, $ne: 2 },
      name: { $gt: 'a', $lte: 'Z', $nin: ['b', 'ß', ''] },
      locked: false,
      deletedAt: null,
      largest: Number.MAX_SAFE_INTEGER,
    }
    expect(parse(Conditions, conditions)).toEqual(conditions)
  })

  it('refuse what is not of the language, and say where and what there is instead', () => {
    const unknown = (name: string) => `unknown operator "${name}"; known operators: ${known}`
    for (const name of ['$regex', '$exists', '$all', '$size', '$elemMatch', '$not', '$options', '$EQ', 'eq', '']) {
      expect(errorsOf({ title: { [name]: 'x' } })).toEqual({ [`/when/title/${name}`]: unknown(name) })
      expect(errorsOf({ title: { $eq: 'x', [name]: 'x' } })).toEqual({ [`/when/title/${name}`]: unknown(name) })
    }
    for (const name of ['$or', '$and', '$nor', '$not', '$where']) {
      expect(errorsOf({ [name]: [{ a: 1 }] })[`/when/${name}`]).toContain(known)
    }
    expect(errorsOf({ a: { $in: [] } })).toEqual({ '/when/a/$in': 'must hold at least one value' })
    expect(errorsOf({ a: { $nin: [] } })).toEqual({ '/when/a/$nin': 'must hold at least one value' })
    expect(errorsOf({})['/when']).toMatch(/at least one field/)
    expect(errorsOf({ a: {} })['/when/a']).toMatch(/must hold an operator/)
    for (const wrong of [[1], { var: 'x' }, { var: 'userId', $eq: 1 }, new Date(0), NaN, Infinity, 2 ** 53, 1n, '\0']) {
      expect(Object.keys(errorsOf({ a: wrong }))[0], String(wrong)).toMatch(/^\/when\/a/)
      expect(Object.keys(errorsOf({ a: { $eq: wrong } }))[0], String(wrong)).toMatch(/^\/when\/a/)
      expect(Object.keys(errorsOf({ a: { $in: [wrong] } }))[0], String(wrong)).toMatch(/^\/when\/a/)
    }
    for (const wrong of [null, true, { var: 'userId' }, ['a']]) {
      for (const operator of ['$gt', '$gte', '$lt', '$lte']) {
        expect(errorsOf({ a: { [operator]: wrong } })).toEqual({ '/when/a': `${operator} must be text or a number` })
      }
    }
    expect(errorsOf({ a: '\ud800' })).not.toEqual({})
    expect(errorsOf({ a: 'x'.repeat(1001) })).not.toEqual({})
    expect(errorsOf({ a: { $in: Array(101).fill(1) } })).not.toEqual({})
    expect(errorsOf(Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`f${i}`, 1])))).not.toEqual({})
    for (const wrong of [null, [], 'a', 1]) expect(errorsOf(wrong)).not.toEqual({})
  })

  it('CASL 7, trap 3: an undefined value is refused, wherever it stands', () => {
    expect(errorsOf({ tenantId: undefined })['/when/tenantId']).toMatch(/has no value/)
    for (const condition of [{ $eq: undefined }, { $ne: undefined }, { $in: [undefined] }, { var: undefined }]) {
      expect(errorsOf({ tenantId: condition })).not.toEqual({})
    }
  })

  it('defect 11: refuse `__proto__`, `constructor` and whatever else every object has, and `$regex`', () => {
    const inherited = [...Object.getOwnPropertyNames(Object.prototype), 'prototype']
    expect(inherited).toContain('__proto__')
    for (const name of inherited) {
      for (const more of ['', ',"a":1']) {
        const parsed = JSON.parse(`{"${name}":"x"${more}}`)
        expect(Object.keys(errorsOf(parsed)), name).toEqual([`/when/${name}`])
      }
    }
    expect(errorsOf(JSON.parse('{"a":{"__proto__":"x"}}'))).toHaveProperty(['/when/a/__proto__'])
    expect(errorsOf(JSON.parse('{"a":{"$eq":1,"__proto__":{"$ne":1}}}'))).toHaveProperty(['/when/a/__proto__'])
    expect(errorsOf({ title: { $regex: '(a+)+$' } })).toHaveProperty(['/when/title/$regex'])
    expect({}).not.toHaveProperty('x')
  })

  it('refuse field names that are more than a name', () => {
    for (const name of ['a.b', 'a b', '', '1a', 'a"', 'a`', "a'; drop table posts --", 'a as b', '*', 'ä', 'a\0']) {
      expect(Object.keys(errorsOf({ [name]: 1 })), name).toHaveLength(1)
    }
    expect(errorsOf({ ['a'.repeat(64)]: 1 })).toEqual({})
    expect(errorsOf({ ['a'.repeat(65)]: 1 })).not.toEqual({})
  })
})

describe('variables', () => {
  const conditions = parse(Conditions, {
    authorId: { var: 'userId' },
    tenantId: { $in: [{ var: 'tenantId' }, null] },
    ownerId: { $ne: { var: 'userId' } },
    score: { $gt: 1 },
  })

  it('are filled in, in a query of its own', () => {
    const frozen = structuredClone(conditions)
    const query = fillVariables(conditions, { userId: 'ann', tenantId: 'acme' })
    expect(query).toEqual({
      authorId: 'ann',
      tenantId: { $in: ['acme', null] },
      ownerId: { $ne: 'ann' },
      score: { $gt: 1 },
    })
    expect(conditions).toEqual(frozen)
    expect(query.score).not.toBe(conditions.score)
  })

  it('CASL 7, trap 3: without a value are an error, never undefined', () => {
    for (const variables of [
      {},
      { userId: 'ann' },
      { userId: undefined, tenantId: 'acme' },
      { userId: '', tenantId: 'a' },
    ]) {
      expect(code(() => fillVariables(conditions, variables))).toBe('setup_error')
    }
    expect(code(() => fillVariables({ a: { var: 'constructor' as never } }, {}))).toBe('setup_error')
  })

  it('cannot be made to look like an operator', () => {
    const query = fillVariables(conditions, { userId: '{"$ne":null}', tenantId: '$ne' })
    expect(query).toMatchObject({ authorId: '{"$ne":null}', tenantId: { $in: ['$ne', null] } })
  })
})

/** Whether a row is one that the conditions are about. */
function matches(conditions: Record<string, unknown>, row: Record<string, unknown>): boolean {
  return conditionsMatcher(conditions)(row)
}

describe('on a row', () => {
  it('null and missing are one, and no value', () => {
    for (const row of [{ a: null }, { a: undefined }, {}]) {
      const holds = (condition: unknown) => matches({ a: condition }, row)
      expect(holds(null)).toBe(true)
      expect(holds({ $ne: null })).toBe(false)
      expect(holds({ $in: ['x', null] })).toBe(true)
      expect(holds({ $nin: ['x', null] })).toBe(false)
      expect(holds({ $nin: ['x'] })).toBe(true)
      for (const value of ['x', '', 0, 1, false, true, 'null']) {
        expect(holds(value)).toBe(false)
        expect(holds({ $ne: value })).toBe(true)
      }
      for (const limit of ['', 'x', -1, 0, 1]) {
        for (const operator of ['$gt', '$gte', '$lt', '$lte']) expect(holds({ [operator]: limit })).toBe(false)
      }
    }
  })

  it('text is compared exactly', () => {
    for (const [stored, wanted] of [
      ['Ann', 'ann'],
      ['ann ', 'ann'],
      ['Ångström', 'A\u030angström'],
      ['straße', 'strasse'],
      ['', ' '],
      ['%', 'a'],
      ['07', '7'],
      ['7.0', '7'],
    ]) {
      expect(matches({ a: wanted }, { a: stored })).toBe(false)
      expect(matches({ a: { $ne: wanted } }, { a: stored })).toBe(true)
      expect(matches({ a: stored }, { a: stored })).toBe(true)
    }
  })

  it('text is ordered by code points, as the bytes of UTF-8 are', () => {
    const character = fc.oneof(
      fc.constantFrom('a', 'Z', 'é', '\ud7ff', '\uffff', '\u{10000}'),
      fc
        .integer({ min: 1, max: 0x10ffff })
        .filter((point) => point < 0xd800 || point > 0xdfff)
        .map((point) => String.fromCodePoint(point)),
    )
    const text = fc.array(character, { maxLength: 5 }).map((characters) => characters.join(''))
    fc.assert(
      fc.property(text, text, (stored, limit) => {
        const order = Buffer.compare(Buffer.from(stored), Buffer.from(limit))
        expect(matches({ a: { $lt: limit } }, { a: stored })).toBe(order < 0)
        expect(matches({ a: { $lte: limit } }, { a: stored })).toBe(order <= 0)
        expect(matches({ a: { $gt: limit } }, { a: stored })).toBe(order > 0)
        expect(matches({ a: { $gte: limit } }, { a: stored })).toBe(order >= 0)
      }),
    )
    expect(matches({ a: { $gt: '\uffff' } }, { a: '\u{1f600}' })).toBe(true)
    expect(
      createMongoAbility([{ action: 'r', subject: 's', conditions: { a: { $gt: '\uffff' } } }]).can(
        'r',
        subject('s', { a: '\u{1f600}' }),
      ),
    ).toBe(false)
  })

  it('a number is a number, however the driver gives it', () => {
    for (const stored of [7, 7n, '7', '7.00']) {
      expect(matches({ a: 7 }, { a: stored })).toBe(true)
      expect(matches({ a: { $in: [6, 7] } }, { a: stored })).toBe(true)
      expect(matches({ a: { $gt: 6.5, $lt: 7.5, $gte: 7, $lte: 7 } }, { a: stored })).toBe(true)
      expect(matches({ a: { $gt: 7 } }, { a: stored })).toBe(false)
      expect(matches({ a: { $ne: 7 } }, { a: stored })).toBe(false)
    }
    // Numbers, not their digits.
    expect(matches({ a: { $gt: 9 } }, { a: '10' })).toBe(true)
    expect(matches({ a: { $gt: Number.MAX_SAFE_INTEGER } }, { a: '9223372036854775807' })).toBe(true)
    expect(matches({ a: Number.MAX_SAFE_INTEGER }, { a: '9007199254740993' })).toBe(false)
    for (const stored of ['07', '7.', ' 7', '7 ', '7\n', '+7', '7e0', '0x7', '٧', 'seven', '']) {
      expect(matches({ a: 7 }, { a: stored }), stored).toBe(false)
      expect(matches({ a: { $lt: 8 } }, { a: stored }), stored).toBe(false)
      expect(matches({ a: { $gt: -1 } }, { a: stored }), stored).toBe(false)
    }
    expect(matches({ a: { $gt: 0 } }, { a: '9'.repeat(65) })).toBe(false)
    expect(matches({ a: 0 }, { a: '' })).toBe(false)
  })

  it('a text condition also finds a number: user ids are text here and may be integers in a table', () => {
    for (const stored of [42, 42n, '42']) expect(matches({ authorId: '42' }, { authorId: stored })).toBe(true)
    for (const stored of [42, 42n, '42']) expect(matches({ authorId: { $ne: '42' } }, { authorId: stored })).toBe(false)
    for (const stored of [42.5, 4200, -42, '042']) expect(matches({ authorId: '42' }, { authorId: stored })).toBe(false)
    // There is no order between them.
    for (const operator of ['$gt', '$gte', '$lt', '$lte'])
      expect(matches({ a: { [operator]: 'a' } }, { a: 5 })).toBe(false)
  })

  it('booleans also are the 0 and 1 of SQLite and MySQL', () => {
    for (const yes of [true, 1, 1n]) {
      expect(matches({ a: true }, { a: yes })).toBe(true)
      expect(matches({ a: { $ne: true } }, { a: yes })).toBe(false)
      expect(matches({ a: false }, { a: yes })).toBe(false)
    }
    for (const no of [false, 0, 0n]) expect(matches({ a: false }, { a: no })).toBe(true)
    for (const neither of [2, -1, 'true', 'yes', '', null]) {
      expect(matches({ a: { $in: [true, false] } }, { a: neither })).toBe(false)
    }
  })

  it('a Date, a list or an object is an error, unless the question is whether it is null', () => {
    for (const stored of [new Date(0), ['x'], { x: 1 }, Buffer.from('x'), () => 'x']) {
      expect(matches({ a: { $ne: null } }, { a: stored })).toBe(true)
      expect(matches({ a: null }, { a: stored })).toBe(false)
      for (const condition of ['x', 0, { $ne: 'x' }, { $in: [null, 'x'] }, { $lt: 5 }, { $gt: 'x' }]) {
        expect(code(() => matches({ a: condition }, { a: stored }))).toBe('setup_error')
      }
    }
  })

  it('all fields and all operators must hold', () => {
    const conditions = { a: 1, b: { $gt: 1, $lt: 5, $ne: 3 } }
    expect(matches(conditions, { a: 1, b: 2 })).toBe(true)
    for (const row of [{ a: 2, b: 2 }, { a: 1, b: 3 }, { a: 1, b: 1 }, { a: 1, b: 5 }, { a: 1 }, {}]) {
      expect(matches(conditions, row)).toBe(false)
    }
  })

  it('CASL 7, trap 5: what CASL marks a row with is no field of it, and a row may be frozen', () => {
    const body = Object.freeze(JSON.parse('{"authorId":"bob","__caslSubjectType__":"posts"}'))
    expect(matches({ authorId: 'bob' }, body)).toBe(true)
    expect(code(() => matches({ __caslSubjectType__: 'posts' }, body))).toBe('setup_error')
    expect(errorsOf({ __caslSubjectType__: 'posts' })).toHaveProperty(['/when/__caslSubjectType__'])
  })

  it('reads getters of a class, as ORMs have them', () => {
    class Post {
      get authorId() {
        return 'ann'
      }
    }
    expect(matches({ authorId: 'ann' }, new Post() as never)).toBe(true)
  })
})

const strange: Record<string, unknown>[] = [
  { $or: [{ a: 1 }, { b: 1 }] },
  { $and: [{ a: 1 }] },
  { a: { $regex: 'x' } },
  { a: { $foo: 1 } },
  { a: { $gt: 1, $foo: 1 } },
  { a: { $not: { $eq: 1 } } },
  { a: { $exists: true } },
  { a: { $size: 1 } },
  { a: { $all: [1] } },
  { a: { $in: 'x' } },
  { a: undefined },
  { a: { $eq: undefined } },
  { a: { $in: [undefined] } },
  { a: { var: 'userId' } },
  { a: [1] },
  { a: new Date(0) },
  { a: { $gt: null } },
  { a: { $gt: true } },
  { a: NaN },
  { 'a.b': 1 },
  { toString: 'x' },
  JSON.parse('{"__proto__":{"a":1}}'),
  {},
]

describe('the matcher', () => {
  it('CASL 7, trap 2: an operator that it does not know is an error, where CASL lets the deny pass', () => {
    for (const conditions of strange) {
      expect(
        code(() => conditionsMatcher(conditions)),
        JSON.stringify(conditions),
      ).toBe('setup_error')
      const ability = createMongoAbility(
        [
          { action: 'read', subject: 'posts' },
          { action: 'read', subject: 'posts', inverted: true, conditions },
        ],
        { conditionsMatcher },
      )
      expect(code(() => ability.can('read', subject('posts', { a: 1 })))).toBe('setup_error')
    }
    for (const conditions of strange.slice(0, 1).concat(strange.slice(3, 4))) {
      expect(mongoQueryMatcher(conditions as never)({ a: 1, b: 1 })).toBe(false)
    }
  })

  it('leaves an ability as CASL knows it', () => {
    const rules = [
      { action: 'read', subject: 'posts', conditions: { authorId: 'ann' }, fields: ['title'] },
      { action: 'read', subject: 'posts', inverted: true, conditions: { locked: true, score: { $lt: 5 } } },
    ]
    const ability: MongoAbility = createMongoAbility(rules, { conditionsMatcher })
    expect(ability.rulesFor('read', 'posts')).toHaveLength(2)
    expect(rulesToAST(ability, 'read', 'posts')).toMatchObject({ operator: 'and' })
    const fieldsFrom = ({ fields }: { fields: string[] | undefined }) => fields ?? ['title', 'body']
    const ofAnn = subject('posts', { authorId: 'ann', locked: 0, score: 1 })
    expect(permittedFieldsOf(ability, 'read', ofAnn, { fieldsFrom })).toEqual(['title'])
    const packed = JSON.parse(JSON.stringify(packRules(ability.rules)))
    const unpacked = createMongoAbility(unpackRules(packed) as typeof rules, { conditionsMatcher })
    for (const row of [{ authorId: 'ann', locked: 1, score: 1 }, { authorId: 'ann', locked: 1 }, { authorId: 'bob' }]) {
      const asked = subject('posts', row)
      expect(unpacked.can('read', asked)).toBe(ability.can('read', asked))
    }
  })
})
