import { integer, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Tenant } from '../../tenants/schema.js'
import type { TenantStore } from '../../tenants/store.js'

export function knexTenants(db: Knex, prefix: string): TenantStore {
  const name = `${prefix}tenants`
  const table = new KnexTable<Tenant & { version: number }>(db, name, {
    id: text,
    version: integer,
    name: nullable(text),
    createdAt: nullable(integer),
  })
  const shown = ({ version, ...tenant }: Tenant & { version: number }): Tenant => tenant
  return {
    async touch(id) {
      // Written to, not only locked: PostgreSQL then refuses (40001) a `repeatable read` transaction that began before
      // somebody else's change and would decide by what it saw. One statement: in MySQL, those who first find the row
      // taken and then lock it wait for each other.
      await table
        .query()
        .insert(table.encode({ id, version: 1 }))
        .onConflict('id')
        .merge({ version: db.raw('?? + 1', [`${name}.version`]) })
    },
    async version(id) {
      const [row] = await table.query({ id }).select('version')
      return row ? Number(row.version) : 0
    },
    async find(id) {
      const found = await table.find({ id })
      return found && shown(found)
    },
    update: async (id, patch) => void (await table.update({ id }, patch)),
    named: async (ids) => (await table.all((query) => query.whereIn('id', ids))).map(shown),
  }
}
