/** What a key holds: no more than its scopes, and never more than its maker at this moment. */
import type { Authority } from '../permissions/authority.js'
import type { HeldRule } from '../permissions/rule.js'
import type { StoredKey } from './schema.js'
import { withinScopes } from './scopes.js'

/**
 * The maker's rules, each where it meets a scope, with its conditions, fields and end; denies as they are. A key without a
 * maker, which the host's own code made, has its scopes as they are. It has no roles: a key is not an owner.
 */
export function authorityOfKey(key: StoredKey, maker: Authority | null, policyVersion: number): Authority {
  const { id, tenantId, scopes, expiresAt } = key
  const own = { tenantId, actor: { type: 'key' as const, id }, roles: [], policyVersion }
  if (!maker) {
    const via = { assignmentId: null, keyId: id, role: 'system', path: ['system'] }
    const rules = scopes.map((permission): HeldRule => ({ effect: 'allow', permission, via, expiresAt }))
    return { ...own, userId: id, rules, expiresAt }
  }
  const rules = withinScopes(maker.rules, scopes).map((rule) => ({
    ...rule,
    via: { ...rule.via, keyId: id },
    expiresAt: earlier(rule.expiresAt, expiresAt),
  }))
  return { ...own, userId: maker.userId, rules, expiresAt: earlier(maker.expiresAt, expiresAt) }
}

function earlier(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}
