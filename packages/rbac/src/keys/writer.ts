/** Writes keys for the services that change them; each checks its own rules first. */
import { type Scope, systemActor, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import { keyAuthority, loadAuthority } from '../permissions/authority.js'
import type { RbacStores } from '../storage/port.js'
import { KeyView, keyOf, type StoredKey } from './schema.js'
import { asOf, lackingScopes } from './scopes.js'

export type RevokeReason = 'revoked' | 'member_removed' | 'member_left'

export type KeyWriter = ReturnType<typeof createKeyWriter>

export function createKeyWriter({
  roles,
  runtime,
  emit,
  ceiling,
}: Pick<Deps, 'roles' | 'runtime' | 'emit' | 'ceiling'>) {
  const view = (key: StoredKey) => KeyView.parse(keyOf(key, runtime.clock.now()))
  const about = ({ id, name }: StoredKey) => ({ resource: { type: 'key', id }, data: { keyId: id, name } })

  /** @throws ProblemError `exceeds_own_rights` unless the actor holds all of the scopes, if only on some rows. */
  async function requireScopes(scope: Scope, stores: RbacStores, scopes: readonly string[]): Promise<void> {
    const { tenantId, actor = systemActor } = scope
    if (actor.type === 'system') return
    const options = { lock: true, now: runtime.clock.now() }
    const { rules } = await loadAuthority(stores, roles, { tenantId, actor }, options)
    const missing = lackingScopes(rules, scopes)
    if (missing.length === 0) return
    throw rbacErrors.exceeds_own_rights({
      detail: `The key would hold ${missing.join(', ')}, which you do not.`,
      extensions: { missing },
    })
  }

  /**
   * Refuses unless the actor may do all that a key can. Whoever gets the secret of somebody else's key acts with that
   * maker's rights, and so must hold their conditions and fields too, under the maker's name.
   *
   * @throws ProblemError `exceeds_own_rights`.
   */
  async function requireReach(scope: Scope, stores: RbacStores, key: StoredKey): Promise<void> {
    const { actor = systemActor } = scope
    if (actor.type === 'system') return
    await requireScopes(scope, stores, key.scopes)
    const isOwn = actor.id === (actor.type === 'key' ? key.id : key.userId)
    if (!isOwn) await requireRightsOf(scope, stores, key)
  }

  async function requireRightsOf(scope: Scope, stores: RbacStores, key: StoredKey): Promise<void> {
    const { tenantId, actor = systemActor } = scope
    if (actor.type === 'system') return
    const options = { lock: true, now: runtime.clock.now() }
    const book = roles.with(await stores.policies.current(tenantId, options))
    const { rules, userId } = await keyAuthority(stores, book, key, options)
    const wanted = rules.map((rule) => asOf(rule, userId))
    await ceiling.require(scope, stores, wanted, `The key "${key.name}"`)
  }

  async function revoke(scope: Scope, stores: RbacStores, tx: Tx, key: StoredKey, reason: RevokeReason) {
    const revokedAt = runtime.clock.now()
    const revoked: StoredKey = { ...key, revokedAt }
    await stores.keys.update(key.id, { revokedAt })
    const { resource, data } = about(key)
    const seen = { before: view(key), after: view(revoked) }
    await emit(scope, { type: 'key.revoked', resource, data: { ...data, reason }, ...seen }, tx)
    return revoked
  }

  return {
    requireScopes,
    requireReach,
    about,
    view,
    revoke,

    /**
     * What becomes of the keys of a member who goes: they are another member's from now on, within that member's rights,
     * or end with their maker, so that they do not come back to life should the user return.
     *
     * @throws ProblemError `exceeds_own_rights` if a key could do more under its new maker than the actor.
     */
    async leave(
      scope: Scope,
      stores: RbacStores,
      tx: Tx,
      { from, to, reason }: { from: string; to: string | null; reason: RevokeReason },
    ): Promise<void> {
      const { actor = systemActor } = scope
      // Under the actor's own name it does no more than they do. Not so a key that hands itself on, to an owner perhaps.
      const isTaken = actor.type === 'user' && actor.id === to
      for (const key of await stores.keys.lockOfUser(scope.tenantId, from)) {
        if (to === null) {
          await revoke(scope, stores, tx, key, reason)
          continue
        }
        const after: StoredKey = { ...key, userId: to }
        if (!isTaken) await requireRightsOf(scope, stores, after)
        await stores.keys.update(key.id, { userId: to })
        const seen = { before: view(key), after: view(after) }
        await emit(scope, { type: 'key.updated', ...about(key), ...seen }, tx)
      }
    },
  }
}
