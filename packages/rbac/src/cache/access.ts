/** Remembers what actors hold, and never for longer than it can vouch for. */
import type { Actor, Tx } from '@org/core'
import { type Access, type AccessSource, accessFrom, createFreshAccess, type Notice, type Who } from '../access.js'
import type { Deps } from '../deps.js'
import { createAbility } from '../permissions/ability.js'
import { type Authority, loadAuthority } from '../permissions/authority.js'
import { Decisions } from '../permissions/decisions.js'
import { Entries } from './entries.js'
import type { CacheSettings } from './options.js'
import { type CachedTenant, type Entry, Snapshot } from './tenant.js'
import { createTenants, isAlive, type Tenants } from './tenants.js'

/** How often a load is tried again because the tenant changed under it; the last one is answered and not kept. */
const maxLoads = 3

export interface CachedAccess extends AccessSource {
  /** For whoever hears of other processes' changes. */
  readonly tenants: Tenants
}

/**
 * The rules of it: an answer is of a version that was read at most `maxStaleMs` ago; if the version cannot be read, there
 * is no answer. What is loaded is kept only if the version was the same before and after.
 */
export function createCachedAccess(
  deps: Pick<Deps, 'storage' | 'runtime' | 'catalog' | 'roles'>,
  settings: CacheSettings,
): CachedAccess {
  const { storage, runtime, catalog, roles } = deps
  const { clock, logger } = runtime
  const { bus } = settings
  const fresh = createFreshAccess(deps)
  const tenants = createTenants(storage, clock, settings)
  const entries = new Entries(settings.maxEntries)
  let reads = 0

  function confirm(tenant: CachedTenant): Promise<number> {
    const { confirming, turn } = tenant
    const shared = confirming?.turn === turn && !tenants.isStrict(tenant) && tenants.isRecent(confirming.startedAt)
    if (confirming && shared) return confirming.version
    const read = { number: ++reads, startedAt: tenants.elapsed(), turn }
    const version = storage
      .read((stores) => stores.tenants.version(tenant.id))
      .then((found) => {
        tenants.settle(tenant)
        tenants.confirm(tenant, found, read)
        return found
      })
      .finally(() => {
        if (tenant.confirming?.version === version) tenant.confirming = null
      })
    tenant.confirming = { ...read, version }
    return version
  }

  /** One load for all who ask at once. */
  function load(tenant: CachedTenant, actor: Actor, from: number): Promise<Access> {
    const { turn, loading } = tenant
    const key = `${actor.type} ${actor.id}`
    const under = loading.get(key)
    if (under?.turn === turn && under.from === from) return under.access
    const access = loadAndKeep(tenant, actor, from).finally(() => {
      if (loading.get(key)?.access === access) loading.delete(key)
    })
    loading.set(key, { turn, from, access })
    return access
  }

  async function loadAndKeep(tenant: CachedTenant, actor: Actor, from: number): Promise<Access> {
    let before = from
    for (let attempt = 1; ; attempt++) {
      const { turn } = tenant
      const known = tenant.snapshot.version === before ? tenant.snapshot : new Snapshot(tenant, before)
      const found = await storage.read(async (stores) => {
        const policy = known.policy === undefined ? await stores.policies.current(tenant.id) : known.policy
        const now = clock.now()
        const authority = await loadAuthority(stores, roles, { tenantId: tenant.id, actor }, { now, policy })
        const read = { number: ++reads, startedAt: tenants.elapsed(), turn }
        return { policy, authority, read, after: await stores.tenants.version(tenant.id) }
      })
      tenants.settle(tenant)
      if (found.after === before && turn === tenant.turn) {
        tenants.confirm(tenant, before, found.read)
        const { snapshot } = tenant
        const access = accessFrom(found.authority, compile(found.authority, snapshot))
        // A later read may have moved on already.
        if (snapshot.version === before) {
          if (snapshot.policy === undefined) snapshot.policy = found.policy
          keep(snapshot, access)
        }
        return access
      }
      if (attempt === maxLoads) return accessFrom(found.authority, compile(found.authority, null))
      before = found.after
    }
  }

  function keep(snapshot: Snapshot, access: Access): void {
    const { actor, expiresAt } = access.authority
    const kept = actorsOf(snapshot, actor)
    const entry: Entry = { access, snapshot, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY, used: true }
    kept.set(actor.id, entry)
    entries.add(entry, () => {
      if (kept.get(actor.id) === entry) kept.delete(actor.id)
      tenants.release(snapshot.tenant)
    })
  }

  /** Members with the same roles share one ability, unless their rules say whom they are about. */
  function compile(authority: Authority, snapshot: Snapshot | null): Decisions {
    const key = snapshot && sharedBy(authority)
    const shared = key === null ? undefined : snapshot?.shared.get(key)
    if (shared) return shared
    const decisions = new Decisions(createAbility(catalog, authority).ability)
    if (key !== null) snapshot?.shared.set(key, decisions)
    return decisions
  }

  async function ask(tenant: CachedTenant, actor: Actor): Promise<Access> {
    tenants.settle(tenant)
    const known = tenants.isConfirmed(tenant) ? tenant.snapshot.version : null
    const version = known ?? (await confirm(tenant))
    const entry = tenant.snapshot.version === version ? actorsOf(tenant.snapshot, actor).get(actor.id) : undefined
    if (!isAlive(entry, clock)) return load(tenant, actor, version)
    entry.used = true
    return entry.access
  }

  return {
    tenants,

    async of(who: Who, tx?: Tx | undefined) {
      const { tenantId, actor } = who
      if (tx || actor.type === 'system') return fresh.of(who, tx)
      const tenant = tenants.at(tenantId)
      tenant.asked++
      try {
        return await ask(tenant, actor)
      } finally {
        tenant.asked--
        tenants.release(tenant)
      }
    },

    known(tenantId, userId) {
      const tenant = tenants.find(tenantId)
      if (tenant === undefined || !tenants.isConfirmed(tenant)) return null
      const entry = tenant.snapshot.users.get(userId)
      if (!isAlive(entry, clock)) return null
      entry.used = true
      return entry.access
    },

    async announce(stores, tenantId, tx) {
      if (!bus) return undefined
      const notice: Notice = { tenantId, version: await stores.tenants.version(tenantId) }
      await bus.announce?.(notice, tx)
      return notice
    },

    changed(tenantId, tx, notice) {
      if (tx) tenants.hold(tenantId, tx)
      else tenants.find(tenantId)?.forget()
      if (!notice || !bus?.publish) return
      bus.publish(notice).catch((error: unknown) => {
        logger.warn('A change of rights could not be told to other processes, which find out by themselves', { error })
      })
    },
  }
}

function actorsOf(snapshot: Snapshot, { type }: Actor): Map<string, Entry> {
  return type === 'key' ? snapshot.keys : snapshot.users
}

/** Null if the rules are one member's own. */
function sharedBy({ rules, expiresAt }: Authority): string | null {
  if (expiresAt !== null || rules.some(({ when }) => when !== undefined)) return null
  return JSON.stringify(rules.map(({ effect, permission, fields }) => [effect, permission, fields]))
}
