/** A tenant keeps an owner, whoever asks. */
import type { Assignment } from '../assignments/schema.js'
import { rbacErrors } from '../errors.js'
import type { RoleBook } from '../roles/book.js'
import type { Role } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'

/**
 * The assignments that make owners, which nobody else changes until the transaction ends: of the tenant as a whole,
 * without an end, and of members who are not suspended.
 */
export async function ownersOf(stores: RbacStores, book: RoleBook, tenantId: string): Promise<Assignment[]> {
  const ids = book.owners().map(({ id }) => id)
  const all = await stores.assignments.ofRoles(tenantId, ids, { lock: true })
  const lasting = all.filter(({ on, expiresAt }) => on === null && expiresAt === null)
  const users = [...new Set(lasting.map(({ userId }) => userId))]
  const suspended = new Set(users.length > 0 ? await stores.members.suspended(tenantId, users, { lock: true }) : [])
  return lasting.filter(({ userId }) => !suspended.has(userId))
}

/** The owner roles that somebody has, also for a time or while suspended: nobody below may change their holder. */
export async function ownerRolesOf(
  stores: RbacStores,
  book: RoleBook,
  tenantId: string,
  userId: string,
): Promise<Role[]> {
  const held = await stores.assignments.ofUser(tenantId, userId, { lock: true })
  return book.owners().filter(({ id }) => held.some(({ roleId, on }) => roleId === id && on === null))
}

/** @throws ProblemError `last_owner` if there was an owner and now there is none. */
export function keepOwner(before: readonly Assignment[], after: readonly Assignment[]): void {
  const [last] = before
  if (!last || after.length > 0) return
  throw rbacErrors.last_owner({ detail: `"${last.userId}" is the last owner; make somebody else one first.` })
}
