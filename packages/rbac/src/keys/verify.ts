/** From the secret that a caller sent to what the caller may do. */
import type { MongoAbility } from '@casl/ability'
import type { Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { isWithin } from './ip.js'
import type { createKeyLimits, RateLimitState } from './limits.js'
import { type ApiKey, keyOf, type StoredKey, statusOf } from './schema.js'
import { hashOf, isSameHash, isSecret } from './secret.js'
import type { Usage } from './usage.js'

export interface VerifyKeyOptions {
  /** The caller's address, for keys that may be used from some only. */
  ip?: string | undefined
  /** Reads inside this transaction. */
  tx?: Tx | undefined
}

/** Why a secret was refused; not for the caller to know, but for `rate_limited` and `ip_not_allowed`. */
export type RefusalCode = 'unknown' | 'revoked' | 'expired' | 'ip_not_allowed' | 'rate_limited'

export type Verification =
  | {
      valid: true
      key: ApiKey
      tenantId: string
      /** Who acts, for a scope or an audit entry. */
      actor: { type: 'key'; id: string }
      /** What the key may do at this moment, as CASL asks it. */
      ability: MongoAbility
      /** What of that holds on every row and field, without wildcards, sorted. */
      permissions: string[]
      /** Where the key stands in its window; null if it has no limit. */
      rateLimit: RateLimitState | null
    }
  | {
      valid: false
      code: RefusalCode
      /** Which key it was; not with `unknown`. */
      keyId?: string
      tenantId?: string
      /** With `rate_limited`: milliseconds until the window ends. */
      retryAfterMs?: number
      rateLimit?: RateLimitState
    }

export type Verify = (secret: string, options?: VerifyKeyOptions) => Promise<Verification>

export function createVerify(
  { storage, runtime, catalog, access, emit }: Deps,
  limits: ReturnType<typeof createKeyLimits>,
  usage: Usage,
): Verify {
  const { clock, logger } = runtime
  /** For as long as the cache remembers the ability. */
  const permissions = new WeakMap<MongoAbility, readonly string[]>()

  function permissionsOf(ability: MongoAbility): string[] {
    const found = permissions.get(ability) ?? catalog.allowedBy(ability)
    permissions.set(ability, found)
    return [...found]
  }

  /** In a transaction of its own and after the decision: nobody waits for it, and its failure refuses nobody. */
  async function tellOfExcess({ id, name, tenantId }: StoredKey, ip: string | undefined, state: RateLimitState) {
    const scope = { tenantId, actor: { type: 'key' as const, id }, ip }
    const data = { keyId: id, name, limit: state.limit, retryAfter: Math.ceil(state.resetMs / 1000) }
    try {
      await storage.run((_stores, own) => {
        return emit(scope, { type: 'rate_limit.exceeded', resource: { type: 'key', id }, data }, own)
      })
    } catch (error) {
      logger.error('@org/rbac: rate_limit.exceeded could not be told', { keyId: id, error })
    }
  }

  return async (secret, { ip, tx } = {}) => {
    if (!isSecret(secret)) return { valid: false, code: 'unknown' }
    const hash = hashOf(secret)
    const found = await storage.read(({ keys }) => keys.bySecret(hash), tx)
    if (!found || !isSameHash(found.secret.hash, hash)) return { valid: false, code: 'unknown' }
    const { key } = found
    const now = clock.now()
    const status = statusOf(key, now)
    const whose = { keyId: key.id, tenantId: key.tenantId }
    if (status !== 'active') return { valid: false, code: status, ...whose }
    if (found.secret.expiresAt !== null && found.secret.expiresAt <= now) {
      return { valid: false, code: 'expired', ...whose }
    }
    if (key.allowedIps && !isWithin(key.allowedIps, ip)) return { valid: false, code: 'ip_not_allowed', ...whose }

    const counted = key.rateLimit && (await limits.count(key.id, key.rateLimit))
    if (counted?.exceeded) {
      if (counted.first) usage.inBackground(tellOfExcess(key, ip, counted.state))
      const { state } = counted
      return { valid: false, code: 'rate_limited', ...whose, retryAfterMs: state.resetMs, rateLimit: state }
    }
    usage.note(key.id, tx === undefined)
    const actor = { type: 'key' as const, id: key.id }
    const { tenantId } = key
    const { ability } = await access.of({ tenantId, actor }, tx)
    return {
      ...{ valid: true, key: keyOf(key, now), tenantId, actor, ability },
      permissions: permissionsOf(ability),
      rateLimit: counted?.state ?? null,
    }
  }
}
