/** Keeps the tables from growing for ever: a part at a time, in the background of a worker, or all at once when asked. */
import { coreErrors } from '@org/core'
import type { Deps } from '../deps.js'
import { nothingPruned, type Pruned, type RetentionTimes } from './schema.js'
import { createDiscarding, forgetPayloads, removeJobs, removeMessages, removeStats, type StepWork } from './steps.js'

export interface Pruning {
  /**
   * Removes all that is older than `retention` says, many transactions one after another, and answers how much. Workers
   * do the same in the background. `now` is the clock's unless told, in epoch milliseconds.
   *
   * @throws ProblemError `invalid_input` for a `now` that is no time.
   */
  prune(options?: { now?: number }): Promise<Pruned>
}

export interface Retention extends Pruning {
  /** What a worker does: a part of what is due, in a transaction of its own. Answers whether there was any. */
  goOn(): Promise<boolean>
}

/** A start is busy enough; after that, how long retention rests when all is done. */
const firstAfterMs = 60 * 1000
const restMs = 5 * 60 * 1000

/** How often it begins with the oldest again, for what could not go when it passed: a dead letter, since redriven. */
const fromTheStartMs = 24 * 60 * 60 * 1000

interface Pass {
  work: StepWork
  keptMs: number
  cursor: string
  isDone: boolean
}

export function createRetention(deps: Pick<Deps, 'storage' | 'runtime' | 'emit'>, times: RetentionTimes): Retention {
  const { storage, runtime } = deps
  const { clock } = runtime
  let passes: Pass[] = passesFor(deps, times)
  let nextAt: number | null = null
  let restartAt = Number.NEGATIVE_INFINITY
  let isBusy = false

  /** The next step that there is; null if none is left. Where it was is remembered, so that a rest costs one look. */
  async function step(all: readonly Pass[], now: number): Promise<Partial<Pruned> | null> {
    const pass = all.find(({ isDone }) => !isDone)
    if (!pass) return null
    const { done, next } = await storage.run((stores, tx) =>
      pass.work(stores, pass.cursor, now - pass.keptMs, { now, tx }),
    )
    if (next === null) pass.isDone = true
    else pass.cursor = next
    return done
  }

  return {
    async goOn() {
      const now = clock.now()
      nextAt ??= now + firstAfterMs
      if (isBusy || now < nextAt) return false
      isBusy = true
      try {
        if (now >= restartAt) {
          passes = passesFor(deps, times)
          restartAt = now + fromTheStartMs
        }
        if ((await step(passes, now)) !== null) return true
        for (const pass of passes) pass.isDone = false
        nextAt = now + restMs
        return false
      } finally {
        isBusy = false
      }
    },

    async prune({ now = clock.now() } = {}) {
      if (!Number.isFinite(now)) {
        throw coreErrors.invalid_input({ errors: [{ pointer: '/now', detail: 'must be epoch milliseconds' }] })
      }
      const total = nothingPruned()
      const own = passesFor(deps, times)
      for (let done = await step(own, now); done !== null; done = await step(own, now)) {
        for (const name of Object.keys(total) as (keyof Pruned)[]) total[name] += done[name] ?? 0
      }
      return total
    },
  }
}

function passesFor(deps: Pick<Deps, 'emit' | 'runtime'>, times: RetentionTimes): Pass[] {
  const pass = (work: StepWork, keptMs: number | null): Pass[] =>
    keptMs === null ? [] : [{ work, keptMs, cursor: '', isDone: false }]
  return [
    ...pass(createDiscarding(deps), times.setAsideMs),
    ...pass(removeMessages, times.messagesMs),
    ...pass(forgetPayloads, times.payloadsMs),
    ...pass(removeJobs, times.jobsMs),
    ...pass(removeStats, times.statsMs),
  ]
}
