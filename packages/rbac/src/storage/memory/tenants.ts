import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Tenant } from '../../tenants/schema.js'
import type { TenantStore } from '../../tenants/store.js'

export type TenantRow = Tenant & { version: number }

export function memoryTenants(rows: MemoryRows<TenantRow>, tx: MemoryTransaction): TenantStore {
  const table = new MemoryTable(rows, tx, { key: ({ id }) => id })
  const shown = ({ version, ...tenant }: TenantRow): Tenant => tenant
  return {
    // There is one writer at a time already.
    async touch(id) {
      if (table.insertUnlessExists({ id, version: 1, name: null, createdAt: null })) return
      table.update(
        (row) => row.id === id,
        ({ version }) => ({ version: version + 1 }),
      )
    },
    version: async (id) => table.get(id)?.version ?? 0,
    async find(id) {
      const found = table.get(id)
      return found && shown(found)
    },
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    named: async (ids) => table.filter((row) => ids.includes(row.id)).map(shown),
  }
}
