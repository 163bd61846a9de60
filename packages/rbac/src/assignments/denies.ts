/** Whoever takes a deny away gives what it denied. */
import type { Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { authorityOf, unexpired } from '../permissions/authority.js'
import type { RoleBook } from '../roles/book.js'
import type { RbacStores } from '../storage/port.js'
import type { Assignment } from './schema.js'

/**
 * Refuses to end roles that deny something unless the actor holds all that their member is left with, so that nobody
 * takes a deny off themselves, or off somebody who then has more than they.
 *
 * @throws ProblemError `exceeds_own_rights`.
 */
export async function guardDenies(
  { ceiling, runtime }: Pick<Deps, 'ceiling' | 'runtime'>,
  scope: Scope,
  stores: RbacStores,
  book: RoleBook,
  { ended, left }: { ended: readonly Assignment[]; left: readonly Assignment[] },
): Promise<void> {
  const now = runtime.clock.now()
  const [first] = unexpired(ended, now).filter((one) => hasDeny(book, one))
  if (!first) return
  const { tenantId, userId } = first
  const who = { tenantId, actor: { type: 'user' as const, id: userId }, userId }
  const { rules } = authorityOf(book, who, unexpired(left, now))
  await ceiling.require(scope, stores, rules, `"${userId}" without "${first.role}"`)
}

export function hasDeny(book: RoleBook, { roleId }: Pick<Assignment, 'roleId'>): boolean {
  const role = book.byId(roleId)
  return role !== null && book.resolve(role).some(({ effect }) => effect === 'deny')
}
