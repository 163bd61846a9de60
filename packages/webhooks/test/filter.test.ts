/** The filter language: what the guide says of it, its laws, and its limits. */
import { readFileSync } from 'node:fs'
import { ProblemError, parse } from '@org/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fieldOperators, filterLimits, logicOperators } from '../src/endpoints/filter/language.js'
import { compileFilter, createFilters, Filter } from '../src/endpoints/filter.js'

const guide = readFileSync(new URL('../../../docs/webhooks/filters.md', import.meta.url), 'utf8')
const passes = (filter: Filter, data: unknown) => compileFilter(filter)(data)

/** The rows of the guide's table with such a heading, without the code marks. */
function tableOf(heading: string): string[][] {
  const rows = guide.split('\n').map((line) => line.split('|').slice(1, -1))
  const start = rows.findIndex((cells) => cells.map((cell) => cell.trim()).join(' | ') === heading)
  const end = rows.findIndex((cells, index) => index > start && cells.length === 0)
  return rows
    .slice(start + 2, end < 0 ? undefined : end)
    .map((cells) => cells.map((cell) => cell.replaceAll('`', '').trim()))
}

/** The mistakes of a filter, as a caller of the API sees them. */
function mistakes(filter: unknown): { pointer: string; detail: string }[] {
  try {
    parse(z.strictObject({ filter: Filter.nullable() }), { filter })
    return []
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'invalid_input') throw error
    return error.errors ?? []
  }
}

function nested(depth: number): Filter {
  return depth === 1 ? { a: 1 } : { $not: nested(depth - 1) }
}

describe('the guide on filters', () => {
  const examples = tableOf('Filter | Passes | Does not pass').map((cells) => cells.map((cell) => JSON.parse(cell)))
  it('has examples', () => expect(examples.length).toBeGreaterThan(8))
  it.each(examples)('%j passes %j and not %j', (filter, passing, failing) => {
    expect([passes(filter, passing), passes(filter, failing)]).toEqual([true, false])
  })

  const refused = tableOf('Filter | Pointer | Detail')
  it('has mistakes', () => expect(refused.length).toBeGreaterThan(2))
  it.each(refused)('refuses %s at %s', (filter, pointer, detail) => {
    expect(mistakes(JSON.parse(filter))).toEqual([{ pointer, detail }])
  })

  it('lists every operator and limit', () => {
    const listed = tableOf('Operator | Takes | Holds when the field').flatMap(([cell = '']) => cell.split(' '))
    expect(listed.sort()).toEqual([...fieldOperators, ...logicOperators].sort())
    const { depth, conditions, values, path, string } = filterLimits
    expect(guide).toContain(
      `Filters ${depth} deep, ${conditions} conditions, lists of ${values} values, paths of ${path} characters, ` +
        `strings of ${string}, and 32,768 characters of JSON`,
    )
    expect(filterLimits.text).toBe(32_768)
  })

  it('begins with a filter', () => {
    const filter = JSON.parse(/```json\n(.*?)```/s.exec(guide)?.[1] ?? '') as Filter
    expect(passes(filter, { amount: 100, customer: { country: 'AT' } })).toBe(true)
    expect(passes(filter, { amount: 5000, customer: { country: 'AT' } })).toBe(false)
    expect(passes(filter, { amount: 100, customer: { country: 'FR' } })).toBe(false)
  })
})

describe('a filter', () => {
  it.each<[Filter, unknown, boolean]>([
    // Each comparison at, below and above its bound.
    [{ a: { $gt: 2 } }, { a: 2 }, false],
    [{ a: { $gt: 2 } }, { a: 3 }, true],
    [{ a: { $gte: 2 } }, { a: 2 }, true],
    [{ a: { $gte: 2 } }, { a: 1 }, false],
    [{ a: { $lt: 2 } }, { a: 2 }, false],
    [{ a: { $lt: 2 } }, { a: 1 }, true],
    [{ a: { $lte: 2 } }, { a: 2 }, true],
    [{ a: { $lte: 2 } }, { a: 3 }, false],
    [{ a: { $gt: 'b' } }, { a: 'c' }, true],
    [{ a: { $gt: 'b' } }, { a: 'B' }, false],
    // Nothing is converted.
    [{ a: { $gt: 0 } }, { a: true }, false],
    [{ a: { $lte: 0 } }, { a: null }, false],
    [{ a: { $lte: 0 } }, { a: '' }, false],
    [{ a: { $lt: 'z' } }, { a: 1 }, false],
    [{ a: { $gte: '' } }, { a: ['x'] }, true],
    [{ a: 0 }, { a: -0 }, true],
    [{ a: 0 }, { a: false }, false],
    [{ a: { $in: [0, null] } }, { a: null }, true],
    [{ a: { $in: [0, null] } }, { a: '0' }, false],
    // Missing fields, and null.
    [{ a: { $eq: null } }, {}, false],
    [{ a: { $ne: 1 } }, {}, true],
    [{ a: { $ne: null } }, { a: null }, false],
    [{ a: { $nin: [1] } }, {}, true],
    [{ a: { $in: [1] } }, {}, false],
    [{ a: { $lt: 1 } }, {}, false],
    [{ a: { $exists: true } }, { a: null }, true],
    [{ a: { $exists: true } }, { a: [] }, true],
    [{ a: { $exists: true } }, {}, false],
    [{ 'a.b': { $exists: false } }, { a: 'b' }, true],
    [{ a: 1 }, null, false],
    [{ a: 1 }, 'a', false],
    // Arrays, at the end of a path and on the way.
    [{ a: 2 }, { a: [1, 2] }, true],
    [{ a: { $ne: 2 } }, { a: [1, 2] }, false],
    [{ a: { $ne: 3 } }, { a: [1, 2] }, true],
    [{ a: { $gt: 4, $lt: 2 } }, { a: [1, 5] }, true],
    [{ a: 1 }, { a: [[1]] }, false],
    [{ 'a.b': 1 }, { a: [{ b: 0 }, { b: [2, 1] }] }, true],
    [{ 'a.b': { $ne: 1 } }, { a: [{ b: 0 }, { b: 1 }] }, false],
    [{ 'a.b': 1 }, { a: [[{ b: 1 }]] }, false],
    [{ 'a.b': { $exists: true } }, { a: [1, { b: null }] }, true],
    [{ 'a.0': 1 }, { a: [1] }, false],
    [{ 'a.0': 1 }, { a: { 0: 1 } }, true],
    [{ 'a.length': 1 }, { a: [1] }, false],
    [{ 'a.length': 1 }, { a: [[1]] }, false],
    [{ 'a.0': 1 }, { a: [[1]] }, false],
    [{ a: 1 }, [{ a: 1 }], true],
    // Keys and operators hold together.
    [{ a: 1, b: 2 }, { a: 1, b: 3 }, false],
    [{ a: { $gte: 1, $ne: 2 } }, { a: 2 }, false],
    [{ a: 1, $or: [{ b: 1 }, { b: 2 }] }, { a: 1, b: 2 }, true],
    [{ a: 1, $or: [{ b: 1 }, { b: 2 }] }, { a: 2, b: 2 }, false],
    [{ $and: [{ a: 1 }, { b: 1 }] }, { a: 1, b: 2 }, false],
    // Only the first name of a path is an operator.
    [{ 'a.$eq': 1 }, { a: { $eq: 1 } }, true],
  ])('%j on %j is %s', (filter, data, expected) => expect(passes(filter, data)).toBe(expected))

  it('never reaches a prototype', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'constructor.name', 'constructor.prototype']) {
      expect([name, passes({ [name]: { $exists: true } }, {})]).toEqual([name, false])
      expect([name, passes({ [`a.${name}`]: { $exists: true } }, { a: [{}, 'text', 5] })]).toEqual([name, false])
    }
    expect(passes({ constructor: 'mine' }, { constructor: 'mine' })).toBe(true)
    expect(passes({ a: 1 }, JSON.parse('{ "__proto__": { "a": 1 } }'))).toBe(false)
    for (const text of ['{ "__proto__": 1 }', '{ "a": 1, "__proto__": { "$ne": 1 } }']) {
      expect(mistakes(JSON.parse(text))).toEqual([
        { pointer: '/filter/__proto__', detail: 'a path may not hold the name "__proto__"' },
      ])
    }
    expect(mistakes({ 'a.__proto__.b': 1 })).toHaveLength(1)
    expect(mistakes(JSON.parse('{ "a": { "__proto__": 1 } }'))).toMatchObject([{ pointer: '/filter/a/__proto__' }])
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('is given back as it came, and takes null for none', () => {
    const filter = { a: { $in: [1, 'x', null, true] }, $or: [{ 'b.c': 1 }, { $not: { d: { $lt: '2026' } } }] }
    expect(Filter.parse(filter)).toBe(filter)
    expect(mistakes(null)).toEqual([])
  })

  it('shows in the OpenAPI document', () => {
    const { $defs } = z.toJSONSchema(z.object({ filter: Filter }), { io: 'input', unrepresentable: 'any' })
    const shown = $defs?.WebhookFilter
    expect(shown).toMatchObject({ type: 'object', minProperties: 1, examples: [expect.anything()] })
    for (const name of [...fieldOperators, ...logicOperators]) expect(shown?.description).toContain(`\`${name}\``)
    for (const example of shown?.examples ?? []) expect(mistakes(example)).toEqual([])
  })
})

describe('a mistake in a filter', () => {
  const long = 'x'.repeat(filterLimits.string + 1)
  it.each<[unknown, string, RegExp]>([
    ['a', '/filter', /^must be an object of paths/],
    [[], '/filter', /^must be an object of paths/],
    [{}, '/filter', /at least one condition/],
    [{ $nor: [] }, '/filter/$nor', /^unknown operator; a filter takes \$and, \$or, \$not and paths, a path takes \$eq/],
    [{ a: { $and: [] } }, '/filter/a/$and', /^unknown operator/],
    [{ $gt: 5 }, '/filter/$gt', /belongs under a path/],
    [{ $and: {} }, '/filter/$and', /list of at least one filter/],
    [{ $or: [] }, '/filter/$or', /list of at least one filter/],
    [{ $or: [{ a: 1 }, 5] }, '/filter/$or/1', /must be an object/],
    [{ $not: [{ a: 1 }] }, '/filter/$not', /must be an object/],
    [{ $not: {} }, '/filter/$not', /at least one condition/],
    [{ a: {} }, '/filter/a', /write one of \$eq/],
    [{ a: [1, 2] }, '/filter/a', /must be a string.* or an object of \$eq/],
    [{ a: undefined }, '/filter/a', /must be a string/],
    [{ a: new Date(0) }, '/filter/a', /must be a string/],
    [{ a: Number.NaN }, '/filter/a', /finite number/],
    [{ a: { $eq: {} } }, '/filter/a/$eq', /must be a string/],
    [{ a: { $ne: [] } }, '/filter/a/$ne', /must be a string/],
    [{ a: { $in: 1 } }, '/filter/a/$in', /list of 1 to 100/],
    [{ a: { $in: [] } }, '/filter/a/$in', /list of 1 to 100/],
    [{ a: { $nin: [1, [2], {}] } }, '/filter/a/$nin/1', /must be a string/],
    [{ a: { $gte: true } }, '/filter/a/$gte', /finite number or a string/],
    [{ a: { $lt: Number.POSITIVE_INFINITY } }, '/filter/a/$lt', /finite number or a string/],
    [{ a: { $exists: 1 } }, '/filter/a/$exists', /true or false/],
    [{ '': 1 }, '/filter/', /none may be empty/],
    [{ 'a..b': 1 }, '/filter/a..b', /none may be empty/],
    [{ 'a.': 1 }, '/filter/a.', /none may be empty/],
    [{ 'a/b~c': [] }, '/filter/a~1b~0c', /must be a string/],
    [{ a: long }, '/filter/a', /at most 1024 characters/],
    [{ a: { $gt: long } }, '/filter/a/$gt', /at most 1024 characters/],
    [{ a: { $in: ['b', long] } }, '/filter/a/$in/1', /at most 1024 characters/],
    [{ a: 'b\0' }, '/filter/a', /no NUL/],
    [{ 'a\ud800': 1 }, '/filter/a\ud800', /half surrogate/],
  ])('%j is named at %s', (filter, pointer, detail) => {
    expect(mistakes(filter)).toEqual([{ pointer, detail: expect.stringMatching(detail) }])
  })

  it('is named with the others', () => {
    const pointers = mistakes({ a: [], b: { $gt: null, $x: 1 }, $or: [{ c: {} }] }).map(({ pointer }) => pointer)
    expect(pointers).toEqual(['/filter/a', '/filter/b/$gt', '/filter/b/$x', '/filter/$or/0/c'])
  })

  it('keeps a filter from being compiled', () => {
    const filter = { a: { $where: 'code' } } as unknown as Filter
    expect(() => compileFilter(filter)).toThrow('/filter/a/$where')
    expect(() => createFilters().matches(filter, {})).toThrow('/filter/a/$where')
  })
})

describe('the limits of a filter', () => {
  const { depth, conditions, values, path, string, text } = filterLimits
  const many = (count: number) => Array.from({ length: count }, (_, index) => ({ [`f${index}`]: { $ne: index } }))
  const longPath = (length: number) => ({ ['p'.repeat(length)]: 1 })

  it.each<[string, unknown, unknown, string]>([
    ['depth', nested(depth), nested(depth + 1), `/filter${'/$not'.repeat(depth)}`],
    [
      'conditions',
      { $or: many(conditions) },
      { $or: many(conditions + 1) },
      `/filter/$or/${conditions}/f${conditions}/$ne`,
    ],
    ['values', { a: { $in: Array(values).fill(1) } }, { a: { $in: Array(values + 1).fill(1) } }, '/filter/a/$in'],
    ['path', longPath(path), longPath(path + 1), `/filter/${'p'.repeat(path + 1)}`],
    ['string', { a: 'x'.repeat(string) }, { a: 'x'.repeat(string + 1) }, '/filter/a'],
    [
      'text',
      { a: { $in: Array(31).fill('x'.repeat(1024)) } },
      { a: { $in: Array(32).fill('x'.repeat(1024)) } },
      '/filter',
    ],
  ])('of %s are the last that passes', (_, largest, tooLarge, pointer) => {
    expect(mistakes(largest)).toEqual([])
    expect(mistakes(tooLarge).map((mistake) => mistake.pointer)).toEqual([pointer])
    expect(JSON.stringify(largest).length).toBeLessThanOrEqual(text)
  })

  it('bound the check and its answer, whatever it is given', () => {
    const wide = Array(200_000).fill(5)
    const deep = JSON.parse(`${'{"$not":'.repeat(100_000)}1${'}'.repeat(100_000)}`)
    const round: Record<string, unknown> = {}
    round.$not = round
    const operators = Object.fromEntries(wide.map((_, index) => [`$${index}`, 1]))
    const paths = Object.fromEntries(wide.map((_, index) => [`f${index}`, []]))
    for (const filter of [{ $and: wide }, { $or: wide.map(() => ({})) }, deep, round, { a: operators }, paths]) {
      const found = mistakes(filter).length
      expect(found).toBeGreaterThan(0)
      expect(found).toBeLessThanOrEqual(conditions + 1)
    }
  })

  it('leave deep and wide data to be looked at', () => {
    const filter: Filter = { 'a.a.a': { $ne: 1 }, a: { $exists: true } }
    const arrays = JSON.parse(`{ "a": ${'['.repeat(100_000)}${']'.repeat(100_000)} }`)
    const objects = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)
    for (const data of [arrays, objects, { a: Array(200_000).fill({ a: [] }) }]) expect(passes(filter, data)).toBe(true)
    const path = Array(128).fill('a').join('.')
    expect(passes({ [path]: { $exists: true } }, objects)).toBe(true)
  })
})

describe('the laws of filters', () => {
  const name = fc.constantFrom('a', 'a', 'b', 'constructor')
  const scalar = fc.constantFrom<string | number | boolean | null>(0, 1, '', '1', null, true)
  const bound = fc.constantFrom<string | number>(0, 1, '', '1')
  const list = fc.array(scalar, { minLength: 1, maxLength: 4 })
  const path = fc.oneof(
    name,
    fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.')),
  )
  const condition = fc.oneof(
    ...(['$eq', '$ne'] as const).map((operator) => fc.record({ [operator]: scalar })),
    ...(['$in', '$nin'] as const).map((operator) => fc.record({ [operator]: list })),
    ...(['$gt', '$gte', '$lt', '$lte'] as const).map((operator) => fc.record({ [operator]: bound })),
    fc.record({ $exists: fc.boolean() }),
  )
  const conditions = fc.tuple(condition, condition).map(([one, other]) => ({ ...one, ...other }))
  const field = fc.oneof(scalar, condition, conditions)
  const leaf = fc.dictionary(path, field, { minKeys: 1, maxKeys: 2, noNullPrototype: true }) as fc.Arbitrary<Filter>
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      leaf,
      fc.record({ $and: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ $or: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ $not: tie('filter') }),
    ) as fc.Arbitrary<Filter>,
  }))
  const { near } = fc.letrec<{ near: unknown }>((tie) => ({
    near: fc.oneof(
      { maxDepth: 4 },
      { weight: 4, arbitrary: scalar },
      { weight: 2, arbitrary: fc.dictionary(name, tie('near'), { maxKeys: 4 }) },
      { weight: 1, arbitrary: fc.array(tie('near'), { maxLength: 3 }) },
    ),
  }))
  // Mostly what the paths above can reach.
  const data = fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(name, near, { minKeys: 2 }) },
    { weight: 1, arbitrary: fc.jsonValue() },
  )
  const law = (holds: (filters: [Filter, Filter], data: unknown) => void) =>
    fc.assert(
      fc.property(fc.tuple(filter, filter), data, (filters, data) => void holds(filters, data)),
      { numRuns: 1000 },
    )

  it('$not negates', () =>
    law(([a], data) => {
      expect(passes({ $not: a }, data)).toBe(!passes(a, data))
      expect(passes({ $not: { $not: a } }, data)).toBe(passes(a, data))
    }))

  it('$and and $or are those of De Morgan', () =>
    law(([a, b], data) => {
      expect(passes({ $and: [a, b] }, data)).toBe(passes(a, data) && passes(b, data))
      expect(passes({ $or: [a, b] }, data)).toBe(passes(a, data) || passes(b, data))
      expect(passes({ $not: { $and: [a, b] } }, data)).toBe(passes({ $or: [{ $not: a }, { $not: b }] }, data))
      expect(passes({ $not: { $or: [a, b] } }, data)).toBe(passes({ $and: [{ $not: a }, { $not: b }] }, data))
    }))

  it('$ne, $nin and $exists: false negate, and $in is $eq of one of them', () => {
    fc.assert(
      fc.property(path, list, data, (at, values, data) => {
        const [first = null] = values
        expect(passes({ [at]: { $nin: values } }, data)).toBe(!passes({ [at]: { $in: values } }, data))
        expect(passes({ [at]: { $ne: first } }, data)).toBe(!passes({ [at]: { $eq: first } }, data))
        expect(passes({ [at]: { $exists: false } }, data)).toBe(!passes({ [at]: { $exists: true } }, data))
        const anyEqual = values.some((value) => passes({ [at]: value }, data))
        expect(passes({ [at]: { $in: values } }, data)).toBe(anyEqual)
      }),
      { numRuns: 1000 },
    )
  })

  it('a filter that went through JSON says the same, and is as valid', () =>
    law(([a], data) => {
      const copy = JSON.parse(JSON.stringify(a)) as Filter
      expect(mistakes(copy)).toEqual([])
      expect(passes(copy, data)).toBe(passes(a, data))
      expect(createFilters().matches(copy, data)).toBe(passes(a, data))
    }))

  it('neither the check nor a filter throws, on any JSON', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void mistakes(value)))
    fc.assert(fc.property(filter, fc.jsonValue(), (a, data) => void passes(a, data)))
  })

  it('the data above finds both answers', () => {
    const answers = fc.sample(fc.tuple(leaf, data), { numRuns: 1000, seed: 1 }).map(([a, b]) => passes(a, b))
    expect(answers.filter(Boolean).length).toBeGreaterThan(50)
    expect(answers.filter((answer) => !answer).length).toBeGreaterThan(50)
  })
})

describe('remembered filters', () => {
  const counted = (capacity?: number) => {
    const compiled: string[] = []
    const compile = (filter: Filter) => {
      compiled.push(JSON.stringify(filter))
      return compileFilter(filter)
    }
    return { compiled, filters: createFilters(capacity === undefined ? { compile } : { capacity, compile }) }
  }

  it('are compiled once for each text', () => {
    const { compiled, filters } = counted()
    for (const amount of [1, 2, 1, 2]) {
      expect(filters.matches({ amount }, { amount: 1 })).toBe(amount === 1)
    }
    expect(compiled).toEqual(['{"amount":1}', '{"amount":2}'])
  })

  it('forget the one that was not used for the longest time', () => {
    const { compiled, filters } = counted(2)
    for (const a of [1, 2, 1, 3, 1, 2]) filters.matches({ a }, {})
    expect(compiled).toEqual(['{"a":1}', '{"a":2}', '{"a":3}', '{"a":2}'])
  })

  it('are known only to their own factory', () => {
    const [one, other] = [counted(), counted()]
    one.filters.matches({ a: 1 }, {})
    other.filters.matches({ a: 1 }, {})
    expect([one.compiled.length, other.compiled.length]).toEqual([1, 1])
  })
})
