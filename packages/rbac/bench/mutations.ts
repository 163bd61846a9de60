/** What a change of ours costs as a whole, with its lock, its version, its rules and its audit entry. */
import { createRuntime } from '@org/core'
import { testDatabases } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import type { Comparison } from '../../core/bench/harness.js'
import { silent } from '../../core/bench/http.js'
import { recordOf } from '../src/audit/canonical.js'
import { auditTable } from '../src/storage/knex/audit.js'
import { entryOf } from './audit-rows.js'

const databases = (await testDatabases()).filter(({ missing }) => !missing)

export const comparisons = databases.map(
  ({ name, open }): Comparison => ({
    bench: `rbac/assign-${name}`,
    subject: 'assignments.assign, a new member',
    reference: 'an insert and its audit row by hand',
    floor: null,
    async open() {
      const { knex, close } = await open()
      await migrate(knex)
      const rbac = createRbac({ storage: knexStorage(knex), logger: silent })
      const { id, random } = createRuntime()
      const tenantId = 'globex'
      let i = 0
      return {
        subject: () => rbac.assignments.assign({ tenantId: 'acme' }, { userId: `user${i++}`, role: 'developer' }),
        reference: () =>
          knex.transaction(async (tx) => {
            const of = { tenant_id: tenantId, user_id: `user${i++}`, role: 'developer', role_id: 'developer' }
            await tx('rbac_assignments').insert({ ...of, id: id('asg'), on_resource: '', on_id: '', created_at: 0 })
            await tx('rbac_audit_entries').insert(
              auditTable(tx, 'rbac_').encode(recordOf(entryOf(tenantId, i), random)),
            )
          }),
        close,
      }
    },
  }),
)
