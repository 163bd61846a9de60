import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { StoredEndpoint } from '../../endpoints/schema.js'
import type { EndpointStore } from '../../endpoints/store.js'

export function memoryEndpoints(rows: MemoryRows<StoredEndpoint>, tx: MemoryTransaction): EndpointStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  const get = async (tenantId: string, id: string) => {
    const row = table.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  return {
    insert: async (endpoint) => table.insert(endpoint),
    get,
    lock: get,
    list: async (tenantId, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId),
        slice,
      ),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    remove: async (id) => void table.remove((row) => row.id === id),
    subscribers: async (tenantId) => table.filter((row) => row.tenantId === tenantId),
    byIds: async (ids) => ids.flatMap((id) => table.get(id) ?? []),
  }
}
