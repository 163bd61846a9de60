import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Policy, PolicyDraft, PolicySummary } from '../../policies/schema.js'
import type { PolicyStore } from '../../policies/store.js'

export interface PolicyRows {
  versions: MemoryRows<Policy>
  drafts: MemoryRows<PolicyDraft>
}

export function memoryPolicies({ versions, drafts: draftRows }: PolicyRows, tx: MemoryTransaction): PolicyStore {
  const keyOf = (tenantId: string, version: number) => JSON.stringify([tenantId, version])
  const table = new MemoryTable(versions, tx, { key: ({ tenantId, version }) => keyOf(tenantId, version) })
  const drafts = new MemoryTable(draftRows, tx, { key: ({ tenantId }) => tenantId })
  const newestFirst = (tenantId: string) =>
    table.filter((row) => row.tenantId === tenantId).sort((a, b) => b.version - a.version)
  const theOne = (tenantId: string, etag: string | null) => (row: PolicyDraft) =>
    row.tenantId === tenantId && (etag === null || row.etag === etag)
  const latest = (tenantId: string) => {
    let newest = 0
    table.find((row) => {
      if (row.tenantId === tenantId) newest = Math.max(newest, row.version)
      return false
    })
    return newest > 0 ? table.get(keyOf(tenantId, newest)) : null
  }
  return {
    async current(tenantId) {
      const found = latest(tenantId)
      return found && { version: found.version, roles: found.roles }
    },
    latest: async (tenantId) => latest(tenantId),
    find: async (tenantId, version) => table.get(keyOf(tenantId, version)),
    list: async (tenantId, { limit, after }) =>
      newestFirst(tenantId)
        .filter(({ version }) => !after || version < after[0])
        .slice(0, limit)
        .map(({ roles: _roles, tests: _tests, ...summary }): PolicySummary => summary),
    insert: async (policy) => table.insert(policy),
    removeBefore: async (tenantId, before) =>
      void table.remove((row) => row.tenantId === tenantId && row.version < before),

    draft: async (tenantId) => drafts.get(tenantId),
    addDraft: async (draft) => drafts.insertUnlessExists(draft),
    changeDraft: async (tenantId, etag, patch) => drafts.update(theOne(tenantId, etag), patch) > 0,
    removeDraft: async (tenantId, etag) => drafts.remove(theOne(tenantId, etag)) > 0,
  }
}
