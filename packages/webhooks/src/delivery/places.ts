/**
 * Who may be sent to at the moment. What takes long gives its place to others, so that receivers which are slow, and
 * succeed, keep nobody waiting; an endpoint and a tenant have no more than their shares.
 */
import type { PumpLimits } from './pump.js'

/** One send. */
export interface Place {
  readonly endpointId: string
  readonly tenantId: string
  readonly since: number
}

/** After how long a send no longer counts as one of those that are sent at once, in milliseconds. */
const slowAfter = 2_000

/** How many times as much as is sent at once may be under way, with those that take long. */
const mostUnderWay = 4

/** How many times as much as is sent at once one tenant may have under way. */
const tenantShare = 2

export class Places {
  readonly #limits: PumpLimits
  /** The oldest first. */
  readonly #quick = new Set<Place>()
  readonly #slow = new Set<Place>()
  readonly #ofEndpoint = new Counter()
  readonly #ofTenant = new Counter()

  constructor(limits: PumpLimits) {
    this.#limits = limits
  }

  get taken(): number {
    return this.#quick.size + this.#slow.size
  }

  get slow(): number {
    return this.#slow.size
  }

  get isFree(): boolean {
    return this.#quick.size < this.#limits.concurrency && !this.isFull
  }

  get isFull(): boolean {
    return this.taken >= this.#limits.concurrency * mostUnderWay
  }

  /** The most of a tenant that is sent. */
  get tenantLimit(): number {
    return this.#limits.concurrency * tenantShare
  }

  ofEndpoint(endpointId: string): number {
    return this.#ofEndpoint.get(endpointId)
  }

  ofTenant(tenantId: string): number {
    return this.#ofTenant.get(tenantId)
  }

  allows(endpointId: string, tenantId: string): boolean {
    return this.ofEndpoint(endpointId) < this.#limits.perEndpoint && this.ofTenant(tenantId) < this.tenantLimit
  }

  begin(endpointId: string, tenantId: string): Place {
    const place = { endpointId, tenantId, since: performance.now() }
    this.#quick.add(place)
    this.#ofEndpoint.add(endpointId, 1)
    this.#ofTenant.add(tenantId, 1)
    return place
  }

  end(place: Place): void {
    this.#quick.delete(place)
    this.#slow.delete(place)
    this.#ofEndpoint.add(place.endpointId, -1)
    this.#ofTenant.add(place.tenantId, -1)
  }

  /** Takes note of those that take long. Answers in how many milliseconds the next will; null if none is quick. */
  age(): number | null {
    const now = performance.now()
    for (const place of this.#quick) {
      const left = place.since + slowAfter - now
      if (left > 0) return left
      this.#quick.delete(place)
      this.#slow.add(place)
    }
    return null
  }
}

/** Counts by name, and forgets who has none. */
export class Counter {
  readonly #counts = new Map<string, number>()

  get(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  add(name: string, by: number): void {
    const count = this.get(name) + by
    if (count > 0) this.#counts.set(name, count)
    else this.#counts.delete(name)
  }
}
