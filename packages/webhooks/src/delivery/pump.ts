/** Keeps a bounded number of sends going: who is sent to next, and how much more may be claimed. */
import type { Logger } from '@org/core'
import { boundedMap } from '../signing/bounded-map.js'
import type { Attempting, Result } from './attempt.js'
import type { Job } from './engine.js'
import { type Finish, type FinishCounts, noCounts } from './finish.js'
import { Counter, Places } from './places.js'
import { Results } from './results.js'
import type { Sender } from './sender.js'

export interface PumpLimits {
  /** How many deliveries are sent at once. */
  concurrency: number
  /** How many of one endpoint are, so that a slow one cannot take all places. */
  perEndpoint: number
}

export interface PumpOptions extends PumpLimits {
  attempting: Attempting
  finish: Finish
  sender: Sender
  logger: Logger
  /** Throws if the storage cannot be reached. */
  probe: () => Promise<unknown>
  /** Called whenever a send ends. */
  onEnd: () => void
  /** Called with what was written. */
  onFinished: (results: readonly Result[]) => void
}

/**
 * How many times as much as is sent at once a worker holds, so that neither sending nor writing waits for the database,
 * which likes many at a time. It begins with once, and doubles that with each write: one that is killed again and again
 * before it has written anything loses little each time, and comes to write something.
 */
const mostAhead = 16

/** If most of it waits longer than this to be sent, in milliseconds, too much is claimed: another worker might send it. */
const longestWait = 500

/** How much of payloads a worker holds at the most before it claims no more, in characters; one claim may go beyond. */
const maxHeld = 32 * 1024 * 1024

/** Of how many endpoints it is remembered whose they are. */
const maxEndpointsKnown = 10_000

export class Pump {
  readonly counts: FinishCounts = noCounts()
  readonly #options: PumpOptions
  /** Claimed and not begun, by endpoint; whoever was served last stands last. */
  readonly #waiting = new Map<string, Job[]>()
  readonly #waitingOfTenant = new Counter()
  readonly #places: Places
  /** Of endpoints that something was claimed of lately. */
  readonly #tenantOf = boundedMap<string, string>(maxEndpointsKnown)
  #waitingCount = 0
  /** Until the next of those that are sent has taken long. */
  #aging: NodeJS.Timeout | undefined
  /** Claimed and not written down yet, in whatever state: what cannot be written must not be followed by more. */
  #held = 0
  #heldSize = 0
  readonly #heldSizeOfTenant = new Counter()
  /** Of the payloads that were claimed last. */
  #usualSize = 0
  #ahead = 1
  readonly #takenAt = new WeakMap<Job, number>()
  /** How many were begun since something was written, and how many of them had waited long. */
  #begun = 0
  #begunLate = 0
  /** What ended. */
  readonly results: Results

  constructor(options: PumpOptions) {
    this.#options = options
    this.#places = new Places(options)
    const { finish, logger, probe, onEnd } = options
    const onLeft = (results: readonly Result[]) => this.#letGo(results)
    this.results = new Results({
      finish,
      logger,
      probe,
      onEnd,
      onLeft,
      onWritten: (...written) => this.#note(...written),
    })
  }

  /** How many may be held, in whatever state. */
  get #holdable(): number {
    return this.#options.concurrency * this.#ahead
  }

  /** How many of these may wait to be sent, or be under way: the others are being written. */
  get #claimable(): number {
    return this.#options.concurrency * this.#aheadToSend
  }

  get #aheadToSend(): number {
    return Math.max(1, this.#ahead / 2)
  }

  /** How many more may be claimed. */
  get free(): number {
    if (this.#held === 0) return this.#claimable
    const { slow, taken } = this.#places
    const sized = Math.floor((maxHeld - this.#heldSize) / Math.max(this.#usualSize, 1))
    return Math.min(this.#claimable - (this.#waitingCount + taken - slow), this.#holdable - (this.#held - slow), sized)
  }

  /** Whether it is worth a claim: few at a time cost nearly as much as many, but no place stays empty for that. */
  get hasRoom(): boolean {
    const { free } = this
    return free > 0 && !this.#places.isFull && (this.#places.isFree || free >= this.#claimable / 2)
  }

  /** How many more of one endpoint may be. */
  freeOf(endpointId: string): number {
    const waiting = this.#waiting.get(endpointId)?.length ?? 0
    const limit = this.#options.perEndpoint * this.#aheadToSend
    const free = limit - this.#places.ofEndpoint(endpointId) - waiting
    // One at a time would cost nearly as much as many.
    const own = waiting > 0 && free < limit / 2 ? 0 : free
    return Math.min(own, this.freeOfTenant(this.tenantOf(endpointId)))
  }

  /** Whose endpoint it is, if that is known. */
  tenantOf(endpointId: string): string | undefined {
    return this.#tenantOf.get(endpointId)
  }

  /** How many more of a tenant may be; of one that is not known, as many as there is room for. */
  freeOfTenant(tenantId: string | undefined): number {
    if (tenantId === undefined) return Number.POSITIVE_INFINITY
    if (this.#heldSizeOfTenant.get(tenantId) >= maxHeld / 2) return 0
    const limit = Math.max(this.#places.tenantLimit, this.#claimable / 2)
    const free = limit - this.#places.ofTenant(tenantId) - this.#waitingOfTenant.get(tenantId)
    return this.#places.isFree || free >= limit / 2 ? free : 0
  }

  get isIdle(): boolean {
    return this.#places.taken === 0 && this.#waitingCount === 0 && this.results.count + this.results.locked === 0
  }

  /** Whether nothing is left but what somebody has locked. */
  get isLocked(): boolean {
    const { count, locked } = this.results
    return locked > 0 && this.#places.taken === 0 && this.#waitingCount === 0 && count === 0
  }

  get isSending(): boolean {
    return this.#places.taken > 0
  }

  /** Sends them as soon as there is a place. */
  take(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const { endpointId, tenantId } = job.delivery
      const waiting = this.#waiting.get(endpointId)
      if (waiting) waiting.push(job)
      else this.#waiting.set(endpointId, [job])
      this.#waitingOfTenant.add(tenantId, 1)
      this.#tenantOf.set(endpointId, tenantId)
    }
    this.#waitingCount += jobs.length
    this.#held += jobs.length
    const now = performance.now()
    for (const job of jobs) {
      this.#weigh(job, 1)
      this.#takenAt.set(job, now)
    }
    if (jobs.length > 0) this.#usualSize = jobs.reduce((sum, job) => sum + sizeOf(job), 0) / jobs.length
    this.#fill()
  }

  #note(results: readonly Result[], counts: FinishCounts): void {
    this.#letGo(results)
    this.#pace()
    for (const kind of Object.keys(counts) as (keyof FinishCounts)[]) this.counts[kind] += counts[kind]
    this.#options.onFinished(results)
  }

  /** Once for all that is written one by one. */
  #pace(): void {
    if (this.#begun === 0) return
    const isTooMuch = this.#begunLate > this.#begun / 2
    this.#ahead = isTooMuch ? Math.max(1, this.#ahead / 2) : Math.min(mostAhead, this.#ahead * 2)
    this.#begun = 0
    this.#begunLate = 0
  }

  /** They are written down, or given up on. */
  #letGo(results: readonly { job: Job }[]): void {
    this.#held -= results.length
    for (const { job } of results) this.#weigh(job, -1)
  }

  #weigh(job: Job, sign: 1 | -1): void {
    const size = sign * sizeOf(job)
    this.#heldSize += size
    this.#heldSizeOfTenant.add(job.delivery.tenantId, size)
  }

  /** Gives back what was claimed and not begun, to be claimed by whoever comes next. */
  release(now: number): void {
    for (const jobs of this.#waiting.values()) {
      for (const job of jobs) {
        this.#waitingOfTenant.add(job.delivery.tenantId, -1)
        this.results.add({ job, outcome: { kind: 'released', dueAt: now }, attempt: null })
      }
    }
    this.#waiting.clear()
    this.#waitingCount = 0
    this.results.tryLocked()
  }

  #fill(): void {
    while (this.#places.isFree) {
      const job = this.#next()
      if (!job) return
      void this.#send(job)
    }
    this.#aging ??= this.#watch()
  }

  /** Nobody may end for long; who takes long then makes room. */
  #watch(): NodeJS.Timeout | undefined {
    const next = this.#places.age()
    if (next === null) return undefined
    const timer = setTimeout(() => {
      this.#aging = undefined
      this.#places.age()
      this.#fill()
      this.#options.onEnd()
    }, next)
    return timer.unref()
  }

  #next(): Job | undefined {
    for (const [endpointId, jobs] of this.#waiting) {
      const tenantId = jobs[0]?.delivery.tenantId ?? ''
      if (!this.#places.allows(endpointId, tenantId)) continue
      const job = jobs.shift()
      this.#waiting.delete(endpointId)
      if (jobs.length > 0) this.#waiting.set(endpointId, jobs)
      this.#waitingCount--
      this.#waitingOfTenant.add(tenantId, -1)
      return job
    }
    return undefined
  }

  async #send(job: Job): Promise<void> {
    const { attempting, sender, logger, onEnd } = this.#options
    const { endpointId, tenantId } = job.delivery
    const place = this.#places.begin(endpointId, tenantId)
    this.#begun++
    if (place.since - (this.#takenAt.get(job) ?? place.since) > longestWait) this.#begunLate++
    try {
      this.results.add(await attempting(job, sender))
    } catch (error) {
      // The lease ends by itself, and the next claim tries again.
      this.#letGo([{ job }])
      logger.error('A webhook delivery could not be attempted', { deliveryId: job.delivery.id, error })
    } finally {
      this.#places.end(place)
      this.#fill()
      onEnd()
    }
  }
}

const sizeOf = ({ message }: Job): number => message?.body?.length ?? 0
