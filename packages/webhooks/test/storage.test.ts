import { inspect } from 'node:util'
import { isProblem } from '@org/core'
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate, migrations } from '@org/webhooks/knex'
import { storageContract } from '@org/webhooks/testing'
import { describe, expect, it } from 'vitest'
import { testStorages } from './storages.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`storage contract on ${name}`, () => {
    it.each(storageContract)('$name', ({ run }) => run(open))
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`migrations on ${database.name}`, () => {
    it('are applied once, under any prefix, and asked for when they are missing', async () => {
      const { knex, close } = await database.open()
      try {
        const missing = createWebhooks({ storage: knexStorage(knex, { prefix: 'hooks_' }) })
        const refused = await missing.endpoints.list({ tenantId: 't1' }).catch((error: unknown) => error)
        expect(isProblem(refused) && [refused.code, refused.detail]).toEqual([
          'not_migrated',
          expect.stringContaining("'@org/webhooks/knex'"),
        ])
        const [first, second] = await Promise.all([
          migrate(knex, { prefix: 'hooks_' }),
          migrate(knex, { prefix: 'hooks_' }),
        ])
        expect([...first, ...second].sort()).toEqual(migrations.map(({ name }) => name))
        expect(await missing.endpoints.list({ tenantId: 't1' })).toEqual({ data: [], next: null })
      } finally {
        await close()
      }
    })

    it('says what failed without the secret that was to be written', async () => {
      const { knex, close } = await database.open()
      try {
        await migrate(knex)
        await knex.schema.alterTable('webhooks_endpoints', (table) => table.dropColumn('description'))
        const { endpoints } = createWebhooks({ storage: knexStorage(knex) })
        const created = endpoints.create({ tenantId: 't1' }, { url: 'https://example.com' })
        const error = await created.catch((caught: unknown) => caught)
        const cause = (error as Error).cause
        expect(inspect(cause, { depth: null })).not.toContain('whsec_')
        expect((cause as Error).message).toMatch(/^insert into .webhooks_endpoints … - .*description/)
      } finally {
        await close()
      }
    })
  })
}

it('says once, through the logger, that memory is all there is', () => {
  const logger = recordingLogger()
  createWebhooks({ logger })
  expect(logger.entries.map(({ level }) => level)).toEqual(['warn'])
})
