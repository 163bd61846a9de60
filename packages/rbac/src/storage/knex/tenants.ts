import { KnexTable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { TenantStore } from '../../tenants/store.js'

export function knexTenants(db: Knex, prefix: string): TenantStore {
  const table = new KnexTable<{ id: string }>(db, `${prefix}tenants`, { id: text })
  return {
    async lock(id) {
      // Written to, not only locked: PostgreSQL then refuses (40001) a `repeatable read` transaction that began before
      // somebody else's change and would decide by what it saw. One statement: in MySQL, those who first find the row
      // taken and then lock it wait for each other.
      await table.query().insert(table.encode({ id })).onConflict('id').merge()
    },
  }
}
