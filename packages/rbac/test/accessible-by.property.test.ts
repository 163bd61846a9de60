/** The rows that `accessibleBy` selects are those that the ability allows, whatever the rules and the rows. */
import { createMongoAbility, type MongoAbility, type MongoQuery, type RawRuleOf, subject } from '@casl/ability'
import { testDatabases } from '@org/core/testing'
import { type AccessibleByOptions, accessibleBy } from '@org/rbac/knex'
import fc from 'fast-check'
import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { conditionsMatcher } from '../src/permissions/conditions/matcher.js'

/** Close to each other in ways that databases like to ignore. */
const texts = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  ' a',
  'á',
  'a\u0301',
  'ä',
  'ae',
  'ß',
  'ss',
  'b',
  '%',
  '_',
  "'",
  '"',
  '`',
  '\\',
  '?',
  '??',
  ':a',
  'null',
  'true',
  'false',
  '0',
  '1',
  '-1',
  '7',
  '07',
  '7.0',
  '7.50',
  '+7',
  ' 7',
  '7\n',
  '7e0',
  '-',
  '--7',
  '7.',
  '.7',
  '1.2.3',
  'Infinity',
  'NaN',
  '\uffff',
  '\ud7ff',
  '\u{10000}',
  '\u{1f600}',
  '\u{1f600}a',
  '9007199254740993',
  '2026-01-01',
]
const numbers = [0, 1, -1, 2, 6.5, 7, 7.5, 8, 0.1, 1e-4, -7, 123456789, 2 ** 31, Number.MAX_SAFE_INTEGER]
const integers = [-1, 0, 1, 2, 7, 8, 123456789]
const bigints = [...integers, 2 ** 31, Number.MAX_SAFE_INTEGER]
const doubles = [0, 1, -1.5, 0.1, 0.30000000000000004, 7, 7.5, 1e20, 1e-7, -1e-7]

const number = fc.constantFrom(...numbers)
const text = fc.oneof(
  { arbitrary: fc.constantFrom(...texts), weight: 4 },
  fc.string({ unit: 'binary', maxLength: 4 }).filter((value) => !/[\0\ud800-\udfff]/u.test(value)),
)
const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { freq: 3, nil: null })

const row = fc.record({
  text,
  nullable_text: maybe(text),
  small: fc.constantFrom(...integers),
  nullable_small: maybe(fc.constantFrom(...integers)),
  big: fc.constantFrom(...bigints),
  nullable_big: maybe(fc.constantFrom(...bigints)),
  fraction: maybe(fc.constantFrom(...doubles)),
  price: maybe(fc.constantFrom('0.00', '1.00', '7.00', '7.50', '-1.00', '12345.67')),
  flag: fc.boolean(),
  nullable_flag: maybe(fc.boolean()),
})
/** What a host may say about them. */
const types: AccessibleByOptions['types'] = {
  text: 'text',
  nullable_text: 'text',
  small: 'number',
  nullable_small: 'number',
  big: 'number',
  nullable_big: 'number',
  fraction: 'number',
  price: 'number',
}
const fields = [
  'text',
  'nullable_text',
  'small',
  'nullable_small',
  'big',
  'nullable_big',
  'fraction',
  'flag',
  'nullable_flag',
]

/** Mostly of the field's own kind, so that something is found, and sometimes of another, so that nothing must be. */
function operandFor(field: string) {
  const own = /text/.test(field) ? text : /flag/.test(field) ? fc.boolean() : number
  const value = fc.oneof({ arbitrary: own, weight: 5 }, text, number, fc.boolean(), fc.constant(null))
  const limit = fc.oneof({ arbitrary: /text/.test(field) ? text : number, weight: 5 }, text, number)
  const values = fc.array(value, { minLength: 1, maxLength: 4 })
  const operators = {
    $eq: value,
    $ne: value,
    $in: values,
    $nin: values,
    $gt: limit,
    $gte: limit,
    $lt: limit,
    $lte: limit,
  }
  const single = Object.entries(operators).map(([operator, operand]) => operand.map((given) => ({ [operator]: given })))
  return fc.oneof(
    { arbitrary: value, weight: 2 },
    { arbitrary: fc.oneof(...single), weight: 4 },
    fc.record({ $gte: limit, $lt: limit, $ne: value }, { noNullPrototype: true }),
  )
}

/** A decimal comes as text from pg and MySQL and as a number from SQLite: only numbers mean the same on all. */
const price = fc.constantFrom(0, 1, 7, 7.5, 8)
const operators = fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte')
const priceOperand = fc.oneof(
  price,
  fc.constant(null),
  fc.tuple(operators, price).map(([operator, limit]) => ({ [operator]: limit })),
)

const condition = fc.oneof(
  ...fields.map((field) => operandFor(field).map((operand) => [field, operand] as const)),
  priceOperand.map((operand) => ['price', operand] as const),
)
const conditions = fc.array(condition, { minLength: 1, maxLength: 3 }).map((entries) => Object.fromEntries(entries))

type Rule = RawRuleOf<MongoAbility>

const rules: fc.Arbitrary<Rule[]> = fc.array(
  fc
    .record({
      inverted: fc.boolean(),
      action: fc.constantFrom('read', 'read', 'manage', 'update'),
      subject: fc.constantFrom('posts', 'posts', 'posts', 'all', 'comments'),
      conditions: fc.option(conditions, { freq: 20, nil: undefined }),
      fields: fc.constantFrom<(string[] | undefined)[]>(undefined, undefined, undefined, ['title']),
    })
    .map(({ conditions, fields, ...rule }) => ({
      ...rule,
      ...(conditions && { conditions: conditions as MongoQuery }),
      ...(fields && { fields }),
    })),
  { minLength: 1, maxLength: 6 },
)

const rowsAtOnce = 100
const runs = 500

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(name, () => {
    let knex: Knex
    let close: () => Promise<void>

    beforeAll(async () => {
      const database = await open()
      knex = database.knex
      close = database.close
      await knex.schema.createTable('posts', (table) => {
        table.integer('id').primary()
        // The database's own default collation, as in a host's table: MariaDB's ignores case, accents and spaces.
        for (const prefix of ['', 'nullable_']) {
          table.string(`${prefix}text`, 50)
          table.integer(`${prefix}small`)
          table.bigInteger(`${prefix}big`)
          table.boolean(`${prefix}flag`)
        }
        table.double('fraction')
        table.decimal('price', 10, 2)
      })
    })
    afterAll(() => close())

    it(`selects what can() allows, ${runs} times`, async () => {
      let selected = 0
      let withheld = 0
      const seen = fc.sample(row, { seed: 3, numRuns: rowsAtOnce })
      await knex('posts').insert(seen.map((values, id) => ({ id, ...values })))
      await fc.assert(
        fc.asyncProperty(rules, async (given) => {
          const ability = createMongoAbility(given, { conditionsMatcher })
          const stored: { id: number }[] = await knex('posts')
          const allowed = stored
            .filter((post) => ability.can('read', subject('posts', { ...post })))
            .map(({ id }) => id)
          allowed.sort((a, b) => a - b)
          const found = await accessibleBy(knex('posts'), ability, 'read', 'posts').orderBy('id').pluck('id')
          expect(found).toEqual(allowed)
          const byType = await accessibleBy(knex('posts'), ability, 'read', 'posts', { types })
            .orderBy('id')
            .pluck('id')
          expect(byType).toEqual(allowed)
          selected += found.length
          withheld += stored.length - found.length
        }),
        { numRuns: runs },
      )
      // Neither all nor nothing, or it would have proven little.
      expect(selected).toBeGreaterThan(runs)
      expect(withheld).toBeGreaterThan(runs)
    })
  })
}
