import { testDatabases } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { knexStorage, migrate, migrations } from '@org/rbac/knex'
import { storageContract } from '@org/rbac/testing'
import { describe, expect, it } from 'vitest'
import { storages } from './storages.js'

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`storage on ${name}`, () => {
    for (const { name, run } of storageContract) it(name, () => run(() => open({ pool: 1 })))
  })
}

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`migrations on ${name}`, () => {
    it('apply once, under any prefix, and are asked for by name when missing', async () => {
      const database = await open({ pool: 1 })
      const storage = knexStorage(database.knex, { prefix: 'app_' })
      const rbac = createRbac({ storage, logger: { debug() {}, info() {}, warn() {}, error() {} } })
      const problem = { code: 'not_migrated', detail: expect.stringContaining("'@org/rbac/knex'") }
      await expect(rbac.checkPermission('ann', 'keys', 'read')).rejects.toMatchObject(problem)
      await expect(rbac.assignments.assign({ tenantId: 't' }, { userId: 'ann', role: 'owner' })).rejects.toMatchObject(
        problem,
      )

      expect(await migrate(database.knex, { prefix: 'app_' })).toEqual(migrations.map(({ name }) => name))
      expect(await migrate(database.knex, { prefix: 'app_' })).toEqual([])
      await rbac.assignments.assign({ tenantId: 't' }, { userId: 'ann', role: 'owner' })
      expect(await rbac.checkPermission('ann', 'keys', 'read', { tenantId: 't' })).toBe(true)
      for (const prefix of ['', 'App_', 'a-b']) {
        expect(() => knexStorage(database.knex, { prefix })).toThrow('table prefix')
      }
      await database.close()
    })
  })
}
