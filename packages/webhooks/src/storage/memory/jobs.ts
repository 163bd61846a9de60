import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import type { StoredJob } from '../../jobs/schema.js'
import { claimedJob, type JobStore } from '../../jobs/store.js'

export function memoryJobs(rows: MemoryRows<StoredJob>, tx: MemoryTransaction): JobStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  const get = async (tenantId: string, id: string) => {
    const row = table.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  const toRun = (now: number) =>
    table.filter(({ status, leaseUntil }) => status === 'running' && (leaseUntil ?? now) <= now)

  return {
    insert: async (job) => table.insert(job),
    get,
    lock: get,
    list: async (tenantId, { status, endpointId }, slice) =>
      newestFirst(
        table.filter(
          (row) =>
            row.tenantId === tenantId &&
            (status === undefined || row.status === status) &&
            (endpointId === undefined || row.endpointId === endpointId),
        ),
        slice,
      ),
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    anyToRun: async (now) => toRun(now).length > 0,
    async claim(request) {
      const [next] = toRun(request.now).sort((a, b) => a.turnAt - b.turnAt || (a.id < b.id ? -1 : 1))
      if (!next) return null
      const claimed = claimedJob(next, request)
      table.replace(claimed)
      return claimed
    },
  }
}
