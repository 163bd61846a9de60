import { applyMigrations, idempotencyMigration } from '@org/core/knex'
import { testDatabases } from '@org/core/testing'
import { describe, expect, it } from 'vitest'

for (const db of await testDatabases())
  describe.skipIf(db.missing)(db.name, () => {
    it('migrates', async () => {
      const o = await db.open({ pool: 1 })
      expect(await applyMigrations(o.knex, [idempotencyMigration], 'core_')).toEqual(['0000-idempotency-keys'])
      expect(await applyMigrations(o.knex, [idempotencyMigration], 'core_')).toEqual([])
      await o.close()
    })
  })
