/** Who gains and who loses what, from one version of a policy to another. */
import type { Assignment } from '../assignments/schema.js'
import { unexpired } from '../permissions/authority.js'
import type { Catalog } from '../permissions/catalog.js'
import type { RoleBook } from '../roles/book.js'
import type { RbacStores } from '../storage/port.js'
import { changedInEffect } from './effect.js'
import { gained, type Held, holdingsUnder } from './holdings.js'
import type { PolicyDiff } from './schema.js'

/** The most members that are listed. */
const maxListed = 1000
/** The most members whose assignments are asked for one by one; past them, all of the tenant are read. */
const maxAsked = 500

export async function diffMembers(
  stores: RbacStores,
  catalog: Catalog,
  tenantId: string,
  now: number,
  [before, after]: readonly [RoleBook, RoleBook],
): Promise<Pick<PolicyDiff, 'members' | 'total' | 'truncated'>> {
  const affected = new Set(changedInEffect(before, after).map(({ id }) => id))
  const held = await heldByHolders(stores, tenantId, now, affected, [before, after])
  const suspended = new Set(await stores.members.suspended(tenantId, [...held.keys()]))
  const compare = comparison(catalog, before, after)
  const members: PolicyDiff['members'] = []
  for (const userId of [...held.keys()].sort()) {
    if (suspended.has(userId)) continue
    const { gains, loses } = compare(held.get(userId) ?? [])
    if (gains.length + loses.length > 0) members.push({ userId, gains, loses })
  }
  return { members: members.slice(0, maxListed), total: members.length, truncated: members.length > maxListed }
}

/** All that the holders of these roles have, also beside them: what one role loses another may still give. */
async function heldByHolders(
  stores: RbacStores,
  tenantId: string,
  now: number,
  roleIds: ReadonlySet<string>,
  books: readonly RoleBook[],
): Promise<Map<string, Assignment[]>> {
  const held = new Map<string, Assignment[]>()
  if (roleIds.size === 0) return held
  const affected = unexpired(await stores.assignments.ofRoles(tenantId, [...roleIds]), now)
  for (const { userId } of affected) held.set(userId, [])
  const userIds = [...held.keys()]
  const every = new Set(books.flatMap((book) => book.every().map(({ id }) => id)))
  const all =
    userIds.length > maxAsked
      ? await stores.assignments.ofRoles(tenantId, [...every])
      : await stores.assignments.ofUsers(tenantId, userIds)
  for (const assignment of unexpired(all, now)) held.get(assignment.userId)?.push(assignment)
  return held
}

/** Works each set of roles out once, however many members have it. */
function comparison(catalog: Catalog, before: RoleBook, after: RoleBook) {
  const concrete = catalog.expand(['*'])
  const [was, is] = [holdingsUnder(before, concrete), holdingsUnder(after, concrete)]
  const known = new Map<string, { gains: string[]; loses: string[] }>()
  return (assignments: readonly Held[]) => {
    const name = JSON.stringify(assignments.map(({ roleId, on }) => [roleId, on?.resource, on?.id]).sort())
    const found = known.get(name)
    if (found) return found
    const [old, own] = [was(assignments), is(assignments)]
    const made = { gains: gained(old, own), loses: gained(own, old) }
    known.set(name, made)
    return made
  }
}
