/** What a load asks of the database, counted in SQL. */
import { type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import { describe, expect, it } from 'vitest'

const names = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`)
const resources = { data: ['read', 'write'] }
const roles = Object.fromEntries(names('role', 100).map((role) => [role, { permissions: ['data:read'] as const }]))

async function fill({ knex }: OpenDatabase, tenantId: string, members: number): Promise<void> {
  const users = names('user', members)
  const row = { tenant_id: tenantId, created_at: 0 }
  await knex('rbac_tenants').insert({ id: tenantId, version: 1 })
  const asMember = (user_id: string) => ({ ...row, id: `mem_${tenantId}_${user_id}`, user_id, status: 'active' })
  await knex.batchInsert('rbac_members', users.map(asMember), 100)
  const asAssignment = (user_id: string, i: number) => {
    const role = `role${i % 100}`
    return { ...row, id: `asg_${tenantId}_${user_id}`, user_id, role, role_id: role, on_resource: '', on_id: '' }
  }
  await knex.batchInsert('rbac_assignments', users.map(asAssignment), 100)
}

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`a load on ${name}`, () => {
    it('asks as often in a tenant of 10,000 members and 100 roles as in one of 10', async () => {
      const database = await open()
      await migrate(database.knex)
      await fill(database, 'small', 10)
      await fill(database, 'large', 10_000)
      const logger = recordingLogger()
      const rbac = createRbac({ storage: knexStorage(database.knex), logger, resources, roles })
      const statements: string[] = []
      database.knex.on('query', ({ sql }: { sql: string }) => void statements.push(sql))
      const asked = async (tenantId: string, userId: string) => {
        statements.length = 0
        expect(await rbac.checkPermission(userId, 'data', 'read', { tenantId })).toBe(true)
        return statements.length
      }
      // The version, the tenant's roles, the member, the assignments, and the version again.
      for (const tenantId of ['small', 'large']) {
        expect([tenantId, await asked(tenantId, 'user5')]).toEqual([tenantId, 5])
        expect([tenantId, await asked(tenantId, 'user5')]).toEqual([tenantId, 0])
        // The version is known, and the tenant's roles are there for all of its members.
        expect([tenantId, await asked(tenantId, 'user6')]).toEqual([tenantId, 3])
      }
      await database.close()
    })
  })
}
