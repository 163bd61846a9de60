import type { Slice } from '@org/core'
import type { ReadOptions } from '../assignments/store.js'
import type { InviteKind, InviteStatus, StoredInvite } from './schema.js'

export interface InviteFilter {
  status?: InviteStatus | undefined
  kind?: InviteKind | undefined
  /** Tells pending from expired; epoch milliseconds. */
  now: number
}

/** Which of those that are there may be written over. */
export type InvitePatch = Partial<Omit<StoredInvite, 'id' | 'tenantId' | 'createdAt'>>

export interface InviteStore {
  insert(invite: StoredInvite): Promise<void>
  find(tenantId: string, id: string, options?: ReadOptions): Promise<StoredInvite | null>
  /** In any tenant: a token is all that its holder has. */
  findByHash(tokenHash: string): Promise<StoredInvite | null>
  update(tenantId: string, id: string, patch: InvitePatch): Promise<void>
  /** Of a tenant that goes. */
  removeAll(tenantId: string): Promise<void>
  /** What the mailer said of this very token; nothing if the invite was sent again since. */
  setSent(id: string, tokenHash: string, sent: Pick<StoredInvite, 'sentAt' | 'sendError'>): Promise<void>
  /** The pending one to an address, as {@link StoredInvite.address} has it, as it is now. */
  pendingTo(tenantId: string, address: string, now: number): Promise<StoredInvite | null>
  /** The newest first. */
  list(tenantId: string, filter: InviteFilter, slice: Slice): Promise<StoredInvite[]>
  /**
   * The pending ones that give any of these roles, as they are now: a role that is about to be handed out is in use, and
   * is not removed. Called under the tenant's lock.
   */
  pendingWithRoles(tenantId: string, roleIds: readonly string[], now: number): Promise<StoredInvite[]>
}
