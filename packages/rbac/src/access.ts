/** What callers may do, ready to be asked. */
import type { MongoAbility } from '@casl/ability'
import type { Actor, Tx } from '@org/core'
import type { Deps } from './deps.js'
import { createAbility, type RuleOrigins } from './permissions/ability.js'
import { type Authority, loadAuthority } from './permissions/authority.js'

/** What one actor holds in one tenant, and CASL's view of it. */
export interface Access {
  readonly authority: Authority
  readonly ability: MongoAbility
  readonly origins: RuleOrigins
}

export interface AccessSource {
  /** With `tx` it is read inside that transaction. */
  of(who: { tenantId: string; actor: Actor }, tx?: Tx | undefined): Promise<Access>
  /** Told of each change to a tenant's rights once its work is done; `tx` is the host's transaction that it joined. */
  changed(tenantId: string, tx: Tx | undefined): void
}

export function createAccess({
  storage,
  runtime,
  catalog,
  roles,
}: Pick<Deps, 'storage' | 'runtime' | 'catalog' | 'roles'>): AccessSource {
  return {
    async of(who, tx) {
      const authority = await storage.read(
        (stores) => loadAuthority(stores, roles, who, { now: runtime.clock.now() }),
        tx,
      )
      return { authority, ...createAbility(catalog, authority) }
    },
    changed: () => {},
  }
}
