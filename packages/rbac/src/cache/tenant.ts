/** What is remembered of one tenant. */
import type { Tx } from '@org/core'
import type { Access } from '../access.js'
import type { Decisions } from '../permissions/decisions.js'
import type { PublishedRoles } from '../roles/book.js'

/** What an actor held at one version of the tenant. */
export interface Entry {
  readonly access: Access
  readonly snapshot: Snapshot
  /** When the first of the grants ends, in epoch milliseconds; Infinity if none does. */
  readonly expiresAt: number
  /** Asked for since the last look at which entries to drop. */
  used: boolean
}

/** All that is known of a tenant at one version, dropped as one when the version moves. */
export class Snapshot {
  /** Undefined until it was read. One object for all members, and so one book of roles. */
  policy: PublishedRoles | null | undefined
  readonly users = new Map<string, Entry>()
  readonly keys = new Map<string, Entry>()
  /** What those who hold the same rules share, by those rules. */
  readonly shared = new Map<string, Decisions>()

  /** `version` is null until the tenant was asked about. */
  constructor(
    readonly tenant: CachedTenant,
    readonly version: number | null,
  ) {}

  get isEmpty(): boolean {
    return this.users.size === 0 && this.keys.size === 0
  }
}

/** A read of the version that is under way. */
export interface Confirming {
  turn: number
  startedAt: number
  version: Promise<number>
}

/** A load of an actor's rights that is under way. */
export interface Loading {
  turn: number
  from: number
  access: Promise<Access>
}

export class CachedTenant {
  snapshot: Snapshot = new Snapshot(this, null)
  /** On the monotonic clock, when the read began that found this version; -Infinity if it must be read again. */
  confirmedAt = Number.NEGATIVE_INFINITY
  /** Reads are numbered as they begin: what an earlier one found never replaces what a later one did. */
  confirmedBy = 0
  /** One more whenever something was heard that a read under way may have missed. */
  turn = 0
  confirming: Confirming | null = null
  readonly loading = new Map<string, Loading>()
  /** The host's transactions that changed the tenant and have not ended. */
  readonly open = new Set<Tx>()
  /** Until then each question reads the version. */
  strictUntil = Number.NEGATIVE_INFINITY
  /** A version that was heard of and not yet seen; not waited for longer than `until`. */
  expected: { version: number; until: number } | null = null
  /** Questions under way. */
  asked = 0

  constructor(readonly id: string) {}

  /** The version must be read before the next answer. */
  doubt(): void {
    this.turn++
    this.confirmedAt = Number.NEGATIVE_INFINITY
  }

  /** Nothing that was read counts any more: not even under a version that comes back. */
  forget(): void {
    this.doubt()
    this.snapshot = new Snapshot(this, null)
  }
}
