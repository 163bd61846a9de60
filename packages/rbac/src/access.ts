/** What callers may do, ready to be asked. */
import type { MongoAbility } from '@casl/ability'
import type { Actor, Tx } from '@org/core'
import type { Deps } from './deps.js'
import { createAbility } from './permissions/ability.js'
import { type Authority, loadAuthority } from './permissions/authority.js'
import { Decisions } from './permissions/decisions.js'
import type { RbacStores } from './storage/port.js'

/** What one actor holds in one tenant, and CASL's view of it. Shared by many callers: nobody may change it. */
export interface Access {
  readonly authority: Authority
  readonly ability: MongoAbility
  readonly decisions: Decisions
}

/** Whose access. */
export interface Who {
  tenantId: string
  actor: Actor
}

/** What was said of a change inside its transaction; undefined if nobody listens. */
export interface Notice {
  tenantId: string
  version: number
}

export interface AccessSource {
  /** With `tx` it is read inside that transaction. Rejects if it cannot be known. */
  of(who: Who, tx?: Tx | undefined): Promise<Access>
  /** A user's, if it may be answered at once; null if `of` must be asked. */
  known(tenantId: string, userId: string): Access | null
  /** Told of each change to a tenant's rights inside its transaction, once the version has moved. */
  announce(stores: RbacStores, tenantId: string, tx: Tx): Promise<Notice | undefined>
  /**
   * Told of each change once its work is done or has failed; `tx` is the host's transaction that it joined, which may
   * still be undone.
   */
  changed(tenantId: string, tx: Tx | undefined, notice: Notice | undefined): void
}

/** Reads it each time. */
export function createFreshAccess({
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
      return accessFrom(authority, new Decisions(createAbility(catalog, authority).ability))
    },
    known: () => null,
    announce: async () => undefined,
    changed: () => {},
  }
}

export function accessFrom(authority: Authority, decisions: Decisions): Access {
  return { authority, ability: decisions.ability, decisions }
}
