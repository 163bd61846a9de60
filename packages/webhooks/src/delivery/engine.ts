/**
 * Claim, send, finish. A claim leases deliveries in a short transaction; sending happens outside of any; finishing
 * takes the lease's own token, so that whoever outlived its lease changes nothing. An expired lease is picked up by the
 * next ordinary claim.
 */
import type { Attempt, StoredDelivery } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import { bucketAfter, roomOf } from '../endpoints/health.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import type { Health } from '../endpoints/store.js'
import type { SentMessage } from '../messages/store.js'
import type { WebhooksStores } from '../storage/port.js'

/** A claimed delivery with all that sending it takes. */
export interface Job {
  delivery: StoredDelivery
  leaseToken: string
  leaseUntil: number
  /** Null if it was deleted. */
  endpoint: StoredEndpoint | null
  message: SentMessage | null
  /** Whether it was let through an open circuit. */
  probe: boolean
  /** Whether the last attempts to reach the endpoint had failed when it was claimed. */
  ailing: boolean
}

/** What a lease outlasts the deadline by, in milliseconds: for what waits to be sent, and for `finishMargin`. */
const leaseMargin = 60_000

/**
 * What is left of a lease, in milliseconds, when the deadline of what is sent under it has passed: to write it down, and for
 * the clocks of workers that differ.
 */
export const finishMargin = 40_000

export interface ClaimResult {
  jobs: Job[]
  /** Of the endpoints asked: those that may have more. */
  more: ReadonlySet<string>
  /** Endpoints of which nothing may be sent before then: the circuit is open, or the rate limit used up. */
  notBefore: ReadonlyMap<string, number>
}

export interface Engine {
  /**
   * Leases what is due of these endpoints, so many of each at the most. A drain, which somebody asked for, tries those
   * whose circuit is open as well.
   */
  claim(wanted: ReadonlyMap<string, number>, options: { dueBy: number; heedCircuits: boolean }): Promise<ClaimResult>
}

type EngineDeps = Pick<Deps, 'storage' | 'runtime'>

/** `timeoutMs` is the deadline of an exchange for endpoints that have none of their own. */
export function createEngine({ storage, runtime }: EngineDeps, timeoutMs: number): Engine {
  const { clock, id } = runtime

  const claim: Engine['claim'] = async (wanted, { dueBy, heedCircuits }) => {
    const now = clock.now()
    const token = id('lease')
    return storage.run(async (stores) => {
      const endpoints = byId(await stores.endpoints.byIds([...wanted.keys()]))
      const limits = await limitsOf(stores, endpoints, wanted, heedCircuits, now)
      const leaseMs = Math.max(timeoutMs, ...[...endpoints.values()].map((one) => one.timeoutMs ?? 0)) + leaseMargin
      const leaseUntil = now + leaseMs
      const { rooms, probes } = limits
      const all = [...endpoints.values()]
      const ordered = new Set(all.filter(({ ordering }) => ordering !== null).map((one) => one.id))
      const counted = new Set(all.filter(({ maxInFlight }) => maxInFlight !== null).map((one) => one.id))
      const claimed = await stores.deliveries.claim({ now, dueBy, rooms, ordered, counted, token, leaseUntil })
      const { deliveries, expired } = claimed
      const more = moreOf(rooms, deliveries)
      await takeTokens(stores, endpoints, limits.locked, deliveries, probes, leaseUntil, now)
      if (deliveries.length === 0) return { jobs: [], more, notBefore: limits.notBefore }
      const messages = byId(await stores.messages.byIds(distinct(deliveries.map((row) => row.messageId))))
      const lost = expired.map((row) => lostAttempt(row, endpoints.get(row.endpointId)?.url, leaseMs))
      if (lost.length > 0) await stores.deliveries.insertAttempts(lost)
      const jobs = deliveries.map((delivery) => ({
        delivery,
        leaseToken: token,
        leaseUntil,
        endpoint: endpoints.get(delivery.endpointId) ?? null,
        message: messages.get(delivery.messageId) ?? null,
        probe: probes.has(delivery.endpointId),
        ailing: limits.ailing.has(delivery.endpointId),
      }))
      return { jobs, more, notBefore: limits.notBefore }
    })
  }

  return { claim }
}

interface Limits {
  rooms: Map<string, number>
  probes: Set<string>
  ailing: Set<string>
  notBefore: Map<string, number>
  locked: ReadonlyMap<string, Health>
}

/** How many of each endpoint may be claimed. What several workers must agree on is decided under a lock. */
async function limitsOf(
  { endpoints: store, deliveries }: WebhooksStores,
  endpoints: ReadonlyMap<string, StoredEndpoint>,
  wanted: ReadonlyMap<string, number>,
  heedCircuits: boolean,
  now: number,
): Promise<Limits> {
  const rooms = new Map(wanted)
  const seen = new Map((await store.health([...wanted.keys()])).map((health) => [health.endpointId, health]))
  const ailing = new Set([...seen.values()].filter(({ failures }) => failures > 0).map(({ endpointId }) => endpointId))
  const isOpen = (id: string) => heedCircuits && (seen.get(id)?.openUntil ?? null) !== null
  const limits = { rooms, probes: new Set<string>(), ailing, notBefore: new Map<string, number>() }
  const limited = [...endpoints.values()].filter(
    ({ id, enabled, rateLimit, maxInFlight }) => enabled && (rateLimit !== null || maxInFlight !== null || isOpen(id)),
  )
  if (limited.length === 0) return { ...limits, locked: new Map() }
  const ids = limited.map(({ id }) => id)
  const locked = new Map((await store.lockHealth(ids)).map((health) => [health.endpointId, health]))
  const capped = limited.filter(({ maxInFlight }) => maxInFlight !== null).map(({ id }) => id)
  const inFlight = capped.length > 0 ? await deliveries.inFlight(capped, now) : new Map<string, number>()
  for (const endpoint of limited) {
    const { id } = endpoint
    const health = locked.get(id)
    // Another worker is claiming of it right now.
    if (!health) rooms.delete(id)
    else {
      const heeded = heedCircuits ? health : { ...health, openUntil: null }
      const { room, probe, until } = roomOf(endpoint, heeded, inFlight.get(id) ?? 0, wanted.get(id) ?? 0, now)
      if (room > 0) rooms.set(id, room)
      else rooms.delete(id)
      if (until > now) limits.notBefore.set(id, until)
      if (probe && room > 0) limits.probes.add(id)
    }
  }
  return { ...limits, locked }
}

/** Writes what the claim used up of the rate limits, and that an open circuit let its one attempt through. */
async function takeTokens(
  { endpoints: store }: WebhooksStores,
  endpoints: ReadonlyMap<string, StoredEndpoint>,
  locked: ReadonlyMap<string, Health>,
  deliveries: readonly StoredDelivery[],
  probes: ReadonlySet<string>,
  leaseUntil: number,
  now: number,
): Promise<void> {
  if (locked.size === 0 || deliveries.length === 0) return
  const taken = countBy(deliveries)
  const changed: Omit<Health, 'tenantId'>[] = []
  for (const [id, { tenantId: _, ...health }] of locked) {
    const count = taken.get(id) ?? 0
    const rateLimit = endpoints.get(id)?.rateLimit ?? null
    if (count === 0 || (rateLimit === null && !probes.has(id))) continue
    const bucketAt = bucketAfter(rateLimit, health.bucketAt, count, now)
    changed.push({ ...health, bucketAt, openUntil: probes.has(id) ? leaseUntil : health.openUntil })
  }
  await store.updateHealth(changed)
}

/** Those that gave as many as there was room for. */
function moreOf(rooms: ReadonlyMap<string, number>, deliveries: readonly StoredDelivery[]): Set<string> {
  const taken = countBy(deliveries)
  return new Set([...rooms].filter(([id, room]) => taken.get(id) === room).map(([id]) => id))
}

function countBy(deliveries: readonly StoredDelivery[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { endpointId } of deliveries) counts.set(endpointId, (counts.get(endpointId) ?? 0) + 1)
  return counts
}

/** Stands in the log for an attempt that was begun and never reported on. */
function lostAttempt(row: StoredDelivery, url: string | undefined, leaseMs: number): Attempt {
  return {
    deliveryId: row.id,
    number: row.attempts,
    url: url ?? '',
    address: null,
    requestHeaders: {},
    status: null,
    responseHeaders: null,
    responseBody: null,
    responseTruncated: false,
    error: 'worker_lost',
    detail: 'The worker that began this attempt never reported how it ended; it may have been received.',
    startedAt: (row.leaseUntil ?? 0) - leaseMs,
    durationMs: 0,
  }
}

function distinct(ids: string[]): string[] {
  return [...new Set(ids)]
}

function byId<Row extends { id: string }>(rows: Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.id, row]))
}
