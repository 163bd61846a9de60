import { type Columns, columnName, flag, integer, json, KnexTable, nullable, text } from '@org/core/knex'
import { testDatabases } from '@org/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

interface Row {
  id: string
  createdAt: number
  isOpen: boolean
  extraData: unknown
  closedAt: number | null
}

const columns: Columns<Row> = {
  id: text,
  createdAt: integer,
  isOpen: flag,
  extraData: json<unknown>(),
  closedAt: nullable(integer),
}

const anyRow = fc.record({
  id: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((id) => !id.includes('\0')),
  createdAt: fc.maxSafeInteger(),
  isOpen: fc.boolean(),
  extraData: fc.jsonValue(),
  closedAt: fc.option(fc.maxSafeInteger()),
})

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`rows on ${name}`, () => {
    it('come out as they went in, also through a host that renames columns', async () => {
      const db = await open()
      await db.knex.schema.createTable('rows', (table) => {
        table.increments('n')
        table.text('id')
        table.bigInteger('created_at')
        table.smallint('is_open')
        table.text('extra_data')
        table.bigInteger('closed_at')
      })
      const camel = (text_: string) => text_.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
      const renaming = db.connect()
      renaming.client.config.postProcessResponse = (result: unknown) =>
        Array.isArray(result)
          ? result.map((row) => Object.fromEntries(Object.entries(row as object).map(([k, v]) => [camel(k), v])))
          : result
      for (const knex of [db.knex, renaming]) {
        const table = new KnexTable<Row>(knex, 'rows', columns)
        await fc.assert(
          fc.asyncProperty(anyRow, async (row) => {
            await knex('rows').delete()
            await table.insert(row)
            expect(await table.all()).toEqual([JSON.parse(JSON.stringify(row))])
          }),
          { numRuns: 25 },
        )
      }
      await renaming.destroy()
      await db.close()
    })
  })
}

it('names columns in snake case', () => {
  expect(['id', 'tenantId', 'nextAttemptAt'].map(columnName)).toEqual(['id', 'tenant_id', 'next_attempt_at'])
})
