import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import { healthy } from '../../endpoints/health.js'
import type { StoredEndpoint } from '../../endpoints/schema.js'
import type { EndpointStore, Health } from '../../endpoints/store.js'

export function memoryEndpoints(
  rows: MemoryRows<StoredEndpoint>,
  healthRows: MemoryRows<Health>,
  tx: MemoryTransaction,
): EndpointStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  const health = new MemoryTable(healthRows, tx, { key: (row) => row.endpointId })
  const get = async (tenantId: string, id: string) => {
    const row = table.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  const healthOf = async (ids: readonly string[]) => ids.flatMap((id) => health.get(id) ?? [])
  return {
    insert: async (endpoint) => {
      table.insert(endpoint)
      health.insert(healthy(endpoint))
    },
    get,
    lock: get,
    list: async (tenantId, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId),
        slice,
      ),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    remove: async (id) => {
      table.remove((row) => row.id === id)
      health.delete(id)
    },
    subscribers: async (tenantId, { limit, after }) =>
      table
        .filter((row) => row.tenantId === tenantId && (after === null || row.id > after[0]))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit),
    byIds: async (ids) => ids.flatMap((id) => table.get(id) ?? []),

    health: healthOf,
    lockHealth: healthOf,
    awaitHealth: healthOf,
    updateHealth: async (patches) => {
      for (const patch of patches) {
        const row = health.get(patch.endpointId)
        if (row) health.replace({ ...row, ...patch })
      }
    },
  }
}
