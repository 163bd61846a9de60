/** The tenants that are remembered, and which of them may be believed. */
import type { Clock, Storage, Tx } from '@org/core'
import type { CacheSettings } from './options.js'
import { CachedTenant, type Entry, Snapshot } from './tenant.js'

/** The longest that an ended transaction of the host's is taken to be still on its way to the disk, in milliseconds. */
const settleMs = 1000

export type Tenants = ReturnType<typeof createTenants>

export function createTenants(
  storage: Pick<Storage<unknown>, 'owns'>,
  clock: Clock,
  { maxStaleMs, strict }: Pick<CacheSettings, 'maxStaleMs' | 'strict'>,
) {
  const tenants = new Map<string, CachedTenant>()
  /** Those that the host's transactions changed, the first one first. */
  const unsettled = new Set<CachedTenant>()
  const elapsed = () => (clock.monotonic ? clock.monotonic() : clock.now())
  // A clock that went back, as `now` may, has no moment that is recent.
  const isRecent = (moment: number) => {
    const age = elapsed() - moment
    return age >= 0 && age <= maxStaleMs
  }

  /** Looks whether the host's transactions have ended: nothing tells us. */
  function settle(tenant: CachedTenant): void {
    if (!unsettled.has(tenant)) return
    for (const tx of tenant.open) {
      if (storage.owns(tx)) continue
      tenant.open.delete(tx)
      // Knex says so when it sends the COMMIT, which takes a moment to arrive.
      tenant.strictUntil = elapsed() + Math.min(maxStaleMs, settleMs)
      // What was read of it in memory may have been undone.
      tenant.forget()
    }
    if (tenant.open.size === 0 && elapsed() >= tenant.strictUntil) unsettled.delete(tenant)
  }

  function at(tenantId: string): CachedTenant {
    let tenant = tenants.get(tenantId)
    if (!tenant) {
      tenant = new CachedTenant(tenantId)
      tenants.set(tenantId, tenant)
    }
    return tenant
  }

  return {
    elapsed,
    isRecent,
    at,
    find: (tenantId: string) => tenants.get(tenantId),
    all: () => tenants.values(),
    settle,

    /** Whether its version was read so lately that it need not be read again. */
    isConfirmed: (tenant: CachedTenant) => isRecent(tenant.confirmedAt),

    /** Whether each question has to read the version itself. */
    isStrict(tenant: CachedTenant): boolean {
      return strict || unsettled.has(tenant)
    },

    /** Takes in a version that was read. */
    confirm(tenant: CachedTenant, version: number, read: { number: number; startedAt: number; turn: number }): void {
      if (read.turn !== tenant.turn || read.number < tenant.confirmedBy) return
      tenant.confirmedBy = read.number
      if (tenant.snapshot.version !== version) tenant.snapshot = new Snapshot(tenant, version)
      const { expected } = tenant
      if (expected && (version >= expected.version || elapsed() >= expected.until)) tenant.expected = null
      const believed = !this.isStrict(tenant) && tenant.expected === null
      tenant.confirmedAt = believed ? read.startedAt : Number.NEGATIVE_INFINITY
    },

    /** A transaction of the host's changed it, and may yet be undone. */
    hold(tenantId: string, tx: Tx): void {
      const tenant = at(tenantId)
      tenant.open.add(outermost(tx))
      unsettled.add(tenant)
      tenant.forget()
      // So that tenants which are changed and never asked about do not pile up.
      for (const held of unsettled) {
        settle(held)
        if (unsettled.has(held)) break
        this.release(held)
      }
    },

    /** Somebody says that it is at this version, or will be in a moment. */
    expect(tenant: CachedTenant, version: number): void {
      tenant.expected = { version, until: elapsed() + Math.min(maxStaleMs, settleMs) }
      tenant.doubt()
    },

    /** Forgets a tenant that there is nothing to remember of. */
    release(tenant: CachedTenant): void {
      const idle = tenant.asked === 0 && tenant.snapshot.isEmpty && !unsettled.has(tenant)
      if (idle && tenants.get(tenant.id) === tenant) tenants.delete(tenant.id)
    },
  }
}

/** A savepoint ends before its transaction does. */
function outermost(tx: Tx): Tx {
  const outer = 'parentTransaction' in tx ? (tx.parentTransaction as Tx | null | undefined) : null
  return outer ? outermost(outer) : tx
}

/** Whether an entry may be answered with: its grants have not begun to end. */
export function isAlive(entry: Entry | undefined, clock: Clock): entry is Entry {
  return entry !== undefined && (entry.expiresAt === Number.POSITIVE_INFINITY || clock.now() < entry.expiresAt)
}
