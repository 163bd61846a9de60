import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Policy } from '../../policies/schema.js'
import type { PolicyStore } from '../../policies/store.js'

export function memoryPolicies(rows: MemoryRows<Policy>, tx: MemoryTransaction): PolicyStore {
  const table = new MemoryTable(rows, tx, { key: ({ tenantId, version }) => JSON.stringify([tenantId, version]) })
  return {
    async current(tenantId) {
      const [newest] = table.filter((row) => row.tenantId === tenantId).sort((a, b) => b.version - a.version)
      return newest ?? null
    },
  }
}
