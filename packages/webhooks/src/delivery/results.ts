/** What ended and is to be written down: many together, each by itself where that fails, and later what is locked. */
import { isProblem, type Logger } from '@org/core'
import type { Result } from './attempt.js'
import type { Finish, FinishCounts } from './finish.js'

export interface ResultsParts {
  finish: Finish
  logger: Logger
  /** Throws if the storage cannot be reached. */
  probe: () => Promise<unknown>
  /** Called with what was written. */
  onWritten: (results: readonly Result[], counts: FinishCounts) => void
  /** Called with what is given up on: the ends of their leases make them due again. */
  onLeft: (results: readonly Result[]) => void
  /** Called when there is something to be tried again. */
  onEnd: () => void
}

/** For how long many results wait for a row that somebody has locked, and for how long one does, in milliseconds. */
const lockTimeout = { many: 2_000, one: 50 }

/** After how long what somebody has locked is tried again, in milliseconds. */
const lockedRest = 5_000

/** The most that one transaction finishes. */
const maxFlush = 500

/** How many must wait for the writer for a second one to help. */
const helpAt = 350

export class Results {
  readonly #parts: ResultsParts
  #ended: Result[] = []
  /** Those whose rows somebody else has locked, and those of them that are to be tried again by themselves. */
  #locked: Result[] = []
  #again: Result[] = []
  /** Those that the last flush could not write. */
  #refused: readonly Result[] = []
  #mayHelp = true

  constructor(parts: ResultsParts) {
    this.#parts = parts
  }

  /** How many a flush would write. */
  get count(): number {
    return this.#ended.length + this.#again.length
  }

  /** How many somebody else has locked. */
  get locked(): number {
    return this.#locked.length
  }

  add(result: Result): void {
    this.#ended.push(result)
  }

  /**
   * Writes what ended since the last time. When that fails, each result is tried on its own, so that one which cannot
   * be written (a sink may refuse it) does not hold up the others: it is left to the end of its lease.
   *
   * @throws if the storage is away, or nothing could be written; the results then wait for the next flush.
   */
  async flush(): Promise<void> {
    const isAgain = this.#again.length > 0
    const results = isAgain ? this.#again.splice(0) : this.#ended.splice(0, maxFlush)
    if (results.length === 0) return
    const left = new Set(results)
    try {
      await this.#write(results, isAgain ? lockTimeout.one : lockTimeout.many)
      this.#mayHelp = true
    } catch (error) {
      try {
        const failed = results.length > 1 ? await this.#oneByOne(left) : new Map([[results[0] as Result, error]])
        const locked = [...failed.keys()].filter((result) => isBusy(failed.get(result)))
        this.#putOff(locked)
        for (const result of locked) {
          failed.delete(result)
          left.delete(result)
        }
        if (failed.size === results.length) throw error
        this.#report([...failed.keys()], error)
      } catch (reason) {
        this.#ended.push(...left)
        this.#refused = results
        throw reason
      }
    }
  }

  /** Whether more ends than one writer can write. */
  get isPilingUp(): boolean {
    return this.#mayHelp && this.#ended.length >= helpAt
  }

  /**
   * Writes some beside a `flush` under way. When that fails, it is left to flushes, which find out what it failed at, until
   * one of them has succeeded.
   */
  async help(): Promise<void> {
    const results = this.#ended.splice(0, maxFlush)
    try {
      await this.#write(results, lockTimeout.many)
    } catch {
      this.#ended.push(...results)
      this.#mayHelp = false
      this.#parts.onEnd()
    }
  }

  /** Lets the next flush try what somebody had locked. */
  tryLocked(): void {
    this.#again.push(...this.#locked.splice(0))
    this.#parts.onEnd()
  }

  /** Gives up on what the last flush could not write. */
  leave(error: unknown): void {
    const refused = this.#ended.filter((result) => this.#refused.includes(result))
    this.#ended = this.#ended.filter((result) => !refused.includes(result))
    this.#report(refused, error)
  }

  /** Gives up on results whose lease has ended: others have claimed them, or will. */
  dropExpired(now: number): void {
    const expired = this.#ended.filter(({ job }) => job.leaseUntil <= now)
    this.#ended = this.#ended.filter(({ job }) => job.leaseUntil > now)
    this.#parts.onLeft(expired)
  }

  async #write(results: readonly Result[], lockTimeoutMs: number): Promise<void> {
    this.#parts.onWritten(results, await this.#parts.finish(results, lockTimeoutMs))
  }

  /** Answers those that failed, and why; takes the others out of `left`. @throws if the storage is away. */
  async #oneByOne(left: Set<Result>): Promise<Map<Result, unknown>> {
    const failed = new Map<Result, unknown>()
    await this.#parts.probe()
    for (const result of [...left]) {
      try {
        await this.#write([result], lockTimeout.one)
        left.delete(result)
      } catch (error) {
        await this.#parts.probe()
        failed.set(result, error)
      }
    }
    return failed
  }

  #putOff(locked: readonly Result[]): void {
    if (locked.length === 0) return
    const deliveryIds = locked.map(({ job }) => job.delivery.id)
    this.#parts.logger.warn('What came of webhook deliveries waits for rows that another transaction has locked', {
      deliveryIds,
    })
    this.#locked.push(...locked)
    // Keeps the process alive: a drain may wait for nothing else.
    setTimeout(() => this.tryLocked(), lockedRest)
  }

  #report(failed: readonly Result[], error: unknown): void {
    if (failed.length === 0) return
    this.#parts.onLeft(failed)
    const deliveryIds = failed.map(({ job }) => job.delivery.id)
    this.#parts.logger.error('Webhook deliveries could not be finished', { deliveryIds, error })
  }
}

const isBusy = (error: unknown) => isProblem(error) && error.code === 'busy'
