import type { Slice } from '@org/core'
import type { Member, MemberStatus } from './schema.js'

export interface MemberStore {
  /** Null if it was written; the member that is there. */
  insertOrFind(member: Member): Promise<Member | null>
  find(tenantId: string, userId: string, options?: { lock?: boolean }): Promise<Member | null>
  /** Whether the tenant has any member; with `lock` as it is now. */
  any(tenantId: string, options?: { lock?: boolean }): Promise<boolean>
  setStatus(tenantId: string, userId: string, status: MemberStatus): Promise<void>
  remove(tenantId: string, userId: string): Promise<void>
  /** Of a tenant that goes. */
  removeAll(tenantId: string): Promise<void>
  /** The ids of those of the tenant who are suspended, of these users. */
  suspended(tenantId: string, userIds: readonly string[], options?: { lock?: boolean }): Promise<string[]>
  /** The newest first. */
  list(tenantId: string, filter: { status?: MemberStatus | undefined }, slice: Slice): Promise<Member[]>
  /** In every tenant, the newest first. */
  ofUser(userId: string, slice: Slice): Promise<Member[]>
}
