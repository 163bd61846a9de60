import type { Slice } from '@org/core'
import type { ReadOptions } from '../assignments/store.js'
import type { PublishedRoles } from '../roles/book.js'
import type { Policy, PolicyDraft, PolicySummary } from './schema.js'

export interface PolicyStore {
  /**
   * The roles of the version that counts, and nothing else of it; null if the tenant has none. With `lock`, as it is now
   * and stays until the transaction ends.
   */
  current(tenantId: string, options?: ReadOptions): Promise<PublishedRoles | null>
  /** The whole of that version. */
  latest(tenantId: string, options?: ReadOptions): Promise<Policy | null>
  find(tenantId: string, version: number): Promise<Policy | null>
  /** The highest version first. */
  list(tenantId: string, slice: Slice<[version: number]>): Promise<PolicySummary[]>
  insert(policy: Policy): Promise<void>
  /** Forgets the versions before this one. */
  removeBefore(tenantId: string, version: number): Promise<void>

  /** With `lock`, as it is now and stays until the transaction ends. */
  draft(tenantId: string, options?: ReadOptions): Promise<PolicyDraft | null>
  /** False, and nothing written, if the tenant has a draft. */
  addDraft(draft: PolicyDraft): Promise<boolean>
  /** False if there is no draft, or none with this etag. Decides and writes in one step. */
  changeDraft(tenantId: string, etag: string | null, patch: Partial<PolicyDraft>): Promise<boolean>
  /** False as `changeDraft`. */
  removeDraft(tenantId: string, etag: string | null): Promise<boolean>
}
