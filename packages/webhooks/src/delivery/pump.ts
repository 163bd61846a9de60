/** Keeps a bounded number of sends going, and gathers what came of them to be written together. */
import { isProblem, type Logger } from '@org/core'
import { boundedMap } from '../signing/bounded-map.js'
import type { Attempting, Result } from './attempt.js'
import type { Job } from './engine.js'
import { type Finish, type FinishCounts, noCounts } from './finish.js'
import { Counter, Places } from './places.js'
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
 * How many times as much as is sent at once is claimed, so that nothing waits for the database, which likes many. A worker
 * begins with once, and doubles that with each write: one that is killed again and again before it has written anything
 * loses little each time, and comes to write something.
 */
const claimAhead = 6

/** How much of payloads a worker holds at the most before it claims no more, in characters; one claim may go beyond. */
const maxHeld = 32 * 1024 * 1024

const maxTenantsKnown = 10_000

/** For how long many results wait for a row that somebody has locked, and for how long one does, in milliseconds. */
const lockTimeout = { many: 2_000, one: 50 }

/** After how long what somebody has locked is tried again, in milliseconds. */
const lockedRest = 5_000

/** The most that one transaction finishes. */
const maxFlush = 500

export class Pump {
  readonly counts: FinishCounts = noCounts()
  readonly #options: PumpOptions
  /** Claimed and not begun, by endpoint; whoever was served last stands last. */
  readonly #waiting = new Map<string, Job[]>()
  readonly #waitingOfTenant = new Counter()
  readonly #places: Places
  /** Of endpoints that something was claimed of lately. */
  readonly #tenantOf = boundedMap<string, string>(maxTenantsKnown)
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
  #results: Result[] = []
  /** Those whose rows somebody else has locked, and those of them that are to be tried again by themselves. */
  #locked: Result[] = []
  #again: Result[] = []
  /** Those that the last flush could not write. */
  #refused: readonly Result[] = []

  constructor(options: PumpOptions) {
    this.#options = options
    this.#places = new Places(options)
  }

  get #claimable(): number {
    return this.#options.concurrency * this.#ahead
  }

  /** How many more may be claimed. */
  get free(): number {
    if (this.#held === 0) return this.#claimable
    const held = this.#held - this.#places.slow
    const sized = Math.floor((maxHeld - this.#heldSize) / Math.max(this.#usualSize, 1))
    return Math.min(this.#claimable - held, sized)
  }

  /** Whether it is worth a claim: few at a time cost nearly as much as many, but no place stays empty for that. */
  get hasRoom(): boolean {
    const { free } = this
    return free > 0 && !this.#places.isFull && (this.#places.isFree || free >= this.#claimable / 2)
  }

  /** How many more of one endpoint may be. */
  freeOf(endpointId: string): number {
    const waiting = this.#waiting.get(endpointId)?.length ?? 0
    const limit = this.#options.perEndpoint * this.#ahead
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
    return this.#places.taken === 0 && this.#waitingCount === 0 && this.ended === 0 && this.#locked.length === 0
  }

  /** Whether nothing is left but what somebody has locked. */
  get isLocked(): boolean {
    return this.#locked.length > 0 && this.#places.taken === 0 && this.#waitingCount === 0 && this.ended === 0
  }

  get isSending(): boolean {
    return this.#places.taken > 0
  }

  /** How many ended and are not written yet. */
  get ended(): number {
    return this.#results.length + this.#again.length
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
    for (const job of jobs) this.#weigh(job, 1)
    if (jobs.length > 0) this.#usualSize = jobs.reduce((sum, job) => sum + sizeOf(job), 0) / jobs.length
    this.#fill()
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
        this.#results.push({ job, outcome: { kind: 'released', dueAt: now }, attempt: null })
      }
    }
    this.#waiting.clear()
    this.#waitingCount = 0
    this.tryLocked()
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
    try {
      this.#results.push(await attempting(job, sender))
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

  /**
   * Writes what ended since the last time. When that fails, each result is tried on its own, so that one which cannot
   * be written (a sink may refuse it) does not hold up the others: it is left to the end of its lease.
   *
   * @throws if the storage is away, or nothing could be written; the results then wait for the next flush.
   */
  async flush(): Promise<void> {
    const isAgain = this.#again.length > 0
    const results = isAgain ? this.#again.splice(0) : this.#results.splice(0, maxFlush)
    if (results.length === 0) return
    const left = new Set(results)
    try {
      await this.#write(results, isAgain ? lockTimeout.one : lockTimeout.many)
    } catch (error) {
      try {
        const failed = results.length > 1 ? await this.#flushOneByOne(left) : new Map([[results[0] as Result, error]])
        const locked = [...failed.keys()].filter((result) => isBusy(failed.get(result)))
        this.#putOff(locked)
        for (const result of locked) {
          failed.delete(result)
          left.delete(result)
        }
        if (failed.size === results.length) throw error
        this.#report([...failed.keys()], error)
      } catch (reason) {
        this.#results.push(...left)
        this.#refused = results
        throw reason
      }
    }
  }

  #putOff(locked: readonly Result[]): void {
    if (locked.length === 0) return
    const deliveryIds = locked.map(({ job }) => job.delivery.id)
    this.#options.logger.warn('What came of webhook deliveries waits for rows that another transaction has locked', {
      deliveryIds,
    })
    this.#locked.push(...locked)
    setTimeout(() => this.tryLocked(), lockedRest).unref()
  }

  /** Lets the next flush try what somebody had locked. */
  tryLocked(): void {
    this.#again.push(...this.#locked.splice(0))
    this.#options.onEnd()
  }

  async #write(results: readonly Result[], lockTimeoutMs: number): Promise<void> {
    const counts = await this.#options.finish(results, lockTimeoutMs)
    this.#letGo(results)
    this.#ahead = Math.min(claimAhead, this.#ahead * 2)
    for (const kind of Object.keys(counts) as (keyof FinishCounts)[]) this.counts[kind] += counts[kind]
    this.#options.onFinished(results)
  }

  /** Gives up on what the last flush could not write: the end of its lease makes it due again. */
  leave(error: unknown): void {
    const refused = this.#results.filter((result) => this.#refused.includes(result))
    this.#results = this.#results.filter((result) => !refused.includes(result))
    this.#report(refused, error)
  }

  #report(failed: readonly Result[], error: unknown): void {
    if (failed.length === 0) return
    this.#letGo(failed)
    const deliveryIds = failed.map(({ job }) => job.delivery.id)
    this.#options.logger.error('Webhook deliveries could not be finished', { deliveryIds, error })
  }

  /** Answers those that failed, and why; takes the others out of `left`. @throws if the storage is away. */
  async #flushOneByOne(left: Set<Result>): Promise<Map<Result, unknown>> {
    const failed = new Map<Result, unknown>()
    await this.#options.probe()
    for (const result of [...left]) {
      try {
        await this.#write([result], lockTimeout.one)
        left.delete(result)
      } catch (error) {
        await this.#options.probe()
        failed.set(result, error)
      }
    }
    return failed
  }

  /** Gives up on results whose lease has ended: others have claimed them, or will. */
  dropExpired(now: number): void {
    const expired = this.#results.filter(({ job }) => job.leaseUntil <= now)
    this.#results = this.#results.filter(({ job }) => job.leaseUntil > now)
    this.#letGo(expired)
  }
}

const sizeOf = ({ message }: Job): number => message?.body?.length ?? 0

const isBusy = (error: unknown) => isProblem(error) && error.code === 'busy'
