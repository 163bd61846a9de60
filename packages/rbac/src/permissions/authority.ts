/** What an actor holds in a tenant at this moment, and how they came by it. */
import { type Actor, systemActor } from '@org/core'
import type { Assignment, Instance } from '../assignments/schema.js'
import type { ReadOptions } from '../assignments/store.js'
import { authorityOfKey } from '../keys/authority.js'
import { type StoredKey, statusOf } from '../keys/schema.js'
import type { PublishedRoles, RoleBook } from '../roles/book.js'
import type { RbacStores } from '../storage/port.js'
import type { Conditions } from './conditions/schema.js'
import { parsePermission } from './permission.js'
import type { HeldRule, Rule } from './rule.js'

export interface Authority {
  tenantId: string
  actor: Actor
  /** Who the variable `userId` in conditions stands for: for a key, whoever made it. */
  userId: string
  /** The keys of the roles held, each once. */
  roles: readonly string[]
  rules: readonly HeldRule[]
  /** The version of the tenant's policy that the rules are of; 0 if it has none. */
  policyVersion: number
  /** When the first of the grants ends, in epoch milliseconds; null if none does. */
  expiresAt: number | null
}

/** The host's own code holds everything. */
function systemAuthority(tenantId: string): Authority {
  const via = { assignmentId: null, role: 'system', path: ['system'] }
  const rules: HeldRule[] = [{ effect: 'allow', permission: '*', via, expiresAt: null }]
  const actor = systemActor
  return { tenantId, actor, userId: actor.id, roles: [], rules, policyVersion: 0, expiresAt: null }
}

interface Options extends ReadOptions {
  /** Epoch milliseconds. */
  now: number
  /** The tenant's own roles, by whoever has read them already. */
  policy?: PublishedRoles | null
}

/** Reads it from the books. With `lock`, what it stands on stays so until the transaction ends. */
export async function loadAuthority(
  stores: RbacStores,
  predefined: RoleBook,
  who: { tenantId: string; actor: Actor },
  options: Options,
): Promise<Authority> {
  const { tenantId, actor } = who
  if (actor.type === 'system') return systemAuthority(tenantId)
  const { policy = await stores.policies.current(tenantId, options) } = options
  const book = predefined.with(policy)
  if (actor.type === 'user') return userAuthority(stores, book, tenantId, actor.id, options)
  const key = await stores.keys.find(tenantId, actor.id, options)
  if (key && statusOf(key, options.now) === 'active') return keyAuthority(stores, book, key, options)
  return authorityOf(book, { tenantId, actor, userId: actor.id }, [])
}

/** What a key holds if it works: its scopes, as far as its maker holds them now. */
export async function keyAuthority(
  stores: RbacStores,
  book: RoleBook,
  key: StoredKey,
  options: Options,
): Promise<Authority> {
  const { tenantId, userId } = key
  const maker = userId === null ? null : await userAuthority(stores, book, tenantId, userId, options)
  return authorityOfKey(key, maker, book.policyVersion)
}

export async function userAuthority(
  stores: RbacStores,
  book: RoleBook,
  tenantId: string,
  userId: string,
  options: Options,
): Promise<Authority> {
  const [suspended] = await stores.members.suspended(tenantId, [userId], options)
  const assignments = suspended ? [] : await stores.assignments.ofUser(tenantId, userId, options)
  const actor = { type: 'user' as const, id: userId }
  return authorityOf(book, { tenantId, actor, userId }, unexpired(assignments, options.now))
}

/** Those that count at a moment. */
export function unexpired(assignments: readonly Assignment[], now: number): Assignment[] {
  return assignments.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
}

/** What assignments give, by the roles of a book. A role that is in no book gives nothing. */
export function authorityOf(
  book: RoleBook,
  who: Pick<Authority, 'tenantId' | 'actor' | 'userId'>,
  assignments: readonly Assignment[],
): Authority {
  const rules: HeldRule[] = []
  const roles = new Set<string>()
  let earliest: number | null = null
  for (const { id, roleId, on, expiresAt } of assignments) {
    const role = book.byId(roleId)
    if (!role) continue
    roles.add(role.key)
    if (expiresAt !== null) earliest = Math.min(expiresAt, earliest ?? expiresAt)
    for (const { path, ...rule } of book.resolve(role)) {
      const held = on ? onInstance(rule, on) : rule
      if (held) rules.push({ ...held, via: { assignmentId: id, role: role.key, path }, expiresAt })
    }
  }
  return { ...who, roles: [...roles], rules, policyVersion: book.policyVersion, expiresAt: earliest }
}

/** What a rule says of one thing; null if it is about another resource. */
function onInstance(rule: Rule, { resource, id }: Instance): Rule | null {
  const parts = parsePermission(rule.permission)
  if (!parts || (parts.resource !== '*' && parts.resource !== resource)) return null
  const when: Conditions = { ...rule.when, id: withId(rule.when?.id, id) }
  return { ...rule, permission: `${resource}:${parts.action}`, when }
}

/** Both must hold: the id, and what a role says of ids by itself. Text matches rows with integer keys as well. */
function withId(condition: Conditions[string] | undefined, id: string): Conditions[string] {
  if (condition === undefined) return { $eq: id }
  const own =
    typeof condition === 'object' && condition !== null && !('var' in condition) ? condition : { $eq: condition }
  // Each operator stands once.
  return '$eq' in own ? { ...own, $in: [id] } : { ...own, $eq: id }
}
