/** Keeps a bounded number of sends going, and gathers what came of them to be written together. */
import type { Logger } from '@org/core'
import type { Engine, Job, Result } from './engine.js'
import { type Finish, type FinishCounts, noCounts } from './finish.js'
import type { Sender } from './sender.js'
import type { Signal } from './signal.js'

export interface PumpLimits {
  /** How many deliveries are sent at once. */
  concurrency: number
  /** How many of one endpoint are, so that a slow one cannot take all places. */
  perEndpoint: number
}

export interface PumpOptions extends PumpLimits {
  engine: Engine
  finish: Finish
  sender: Sender
  logger: Logger
  /** Notified whenever a send ends. */
  signal: Signal
}

export class Pump {
  readonly counts: FinishCounts = noCounts()
  readonly #options: PumpOptions
  readonly #perEndpoint = new Map<string, number>()
  #results: Result[] = []
  /** Those that the last flush could not write. */
  #refused: readonly Result[] = []
  #sending = 0

  constructor(options: PumpOptions) {
    this.#options = options
  }

  get isFull(): boolean {
    return this.#sending >= this.#options.concurrency
  }

  get isIdle(): boolean {
    return this.#sending === 0 && this.#results.length === 0
  }

  get isSending(): boolean {
    return this.#sending > 0
  }

  /** Claims as much as there is room for and begins to send it. Answers how much that was. */
  async claim(dueBy?: number): Promise<number> {
    const { engine, concurrency, perEndpoint } = this.#options
    const limit = concurrency - this.#sending
    if (limit <= 0) return 0
    const request = { limit, perEndpoint, inFlight: this.#perEndpoint }
    const jobs = await engine.claim(dueBy === undefined ? request : { ...request, dueBy })
    for (const job of jobs) void this.#send(job)
    return jobs.length
  }

  async #send(job: Job): Promise<void> {
    const { engine, sender, logger, signal } = this.#options
    const { endpointId } = job.delivery
    this.#sending++
    this.#perEndpoint.set(endpointId, (this.#perEndpoint.get(endpointId) ?? 0) + 1)
    try {
      const result = await engine.attempt(job, sender)
      if (result) this.#results.push(result)
    } catch (error) {
      // The lease ends by itself, and the next claim tries again.
      logger.error('A webhook delivery could not be attempted', { deliveryId: job.delivery.id, error })
    } finally {
      this.#sending--
      const left = (this.#perEndpoint.get(endpointId) ?? 1) - 1
      if (left > 0) this.#perEndpoint.set(endpointId, left)
      else this.#perEndpoint.delete(endpointId)
      signal.notify()
    }
  }

  /**
   * Writes what ended since the last time. When that fails, each result is tried on its own, so that one which cannot
   * be written (a sink may refuse it) does not hold up the others: it is left to the end of its lease.
   *
   * @throws if nothing could be written; the results then wait for the next flush.
   */
  async flush(): Promise<void> {
    const results = this.#results
    if (results.length === 0) return
    this.#results = []
    try {
      this.#add(await this.#options.finish(results))
    } catch (error) {
      const failed = results.length > 1 ? await this.#flushOneByOne(results) : results
      if (failed.length === results.length) {
        this.#results.push(...results)
        this.#refused = results
        throw error
      }
      this.#report(failed, error)
    }
  }

  /** Gives up on what the last flush could not write: the end of its lease makes it due again. */
  leave(error: unknown): void {
    const refused = this.#refused
    this.#results = this.#results.filter((result) => !refused.includes(result))
    this.#report(refused, error)
  }

  #report(failed: readonly Result[], error: unknown): void {
    if (failed.length === 0) return
    const deliveryIds = failed.map(({ job }) => job.delivery.id)
    this.#options.logger.error('Webhook deliveries could not be finished', { deliveryIds, error })
  }

  /** Answers those that failed. */
  async #flushOneByOne(results: Result[]): Promise<Result[]> {
    const failed: Result[] = []
    for (const result of results) {
      try {
        this.#add(await this.#options.finish([result]))
      } catch {
        failed.push(result)
      }
    }
    return failed
  }

  /** Gives up on results whose lease has ended: others have claimed them, or will. */
  dropExpired(now: number): void {
    this.#results = this.#results.filter(({ job }) => job.leaseUntil > now)
  }

  #add(counts: FinishCounts): void {
    for (const kind of Object.keys(counts) as (keyof FinishCounts)[]) this.counts[kind] += counts[kind]
  }
}
