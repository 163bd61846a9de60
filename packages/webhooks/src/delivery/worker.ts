/** Delivers until it is told to stop. Polling is the truth; a wake-up only makes it sooner. */
import { type Clock, coreErrors, type Logger } from '@org/core'
import type { Pump } from './pump.js'
import type { Sender } from './sender.js'
import { Signal } from './signal.js'

export interface Worker {
  /**
   * Claims nothing more, waits for what is being sent and writes what came of it. What is still being sent after
   * `graceMs` (the exchange's own deadline unless told) is ended and released, to be sent by whoever claims it next.
   * May be called again with a shorter grace.
   *
   * @throws ProblemError `setup_error` for a grace that is no time.
   */
  stop(options?: { graceMs?: number }): Promise<void>
}

export interface WorkerParts {
  pump: Pump
  sender: Sender
  /** Notified when a send ends and when something is published. */
  signal: Signal
  anyDue: () => Promise<boolean>
  pollMs: number
  clock: Clock
  logger: Logger
}

/** What an idle worker waits first, in milliseconds; each further wait is twice as long, up to `pollMs`. */
const shortestWait = 10

const shortestBackoff = 100
const longestBackoff = 30_000

/** How often results that a storage in good health refuses are written before they are left to the ends of their leases. */
const maxRefusals = 3

/** How often a stopping worker tries to write its results before it leaves them to the ends of their leases. */
const stopFlushes = 5

/** The longest that a timer waits; beyond it fires at once. */
const maxTimer = 2 ** 31 - 1

export function runWorker(parts: WorkerParts, wakeUps: Set<() => void>): Worker {
  const { pump, sender, signal, anyDue, pollMs, clock, logger } = parts
  const stopped = new Signal()
  let stopping = false
  let wait = shortestWait
  let refusals = 0

  const wake = () => {
    wait = shortestWait
    signal.notify()
  }
  wakeUps.add(wake)

  /** A result that cannot be written, because a sink refuses it, must not keep the worker from everybody else's. */
  async function flush(): Promise<void> {
    try {
      await pump.flush()
      refusals = 0
    } catch (error) {
      await anyDue() // throws if it is the storage that fails
      if (++refusals < maxRefusals) throw error
      refusals = 0
      pump.leave(error)
    }
  }

  async function turn(): Promise<void> {
    await flush()
    const claimed = pump.isFull || !(await anyDue()) ? 0 : await pump.claim()
    if (claimed > 0) {
      wait = shortestWait
      return
    }
    if (stopping) return
    if (pump.isFull) return signal.wait()
    await signal.wait(wait)
    wait = Math.min(wait * 2, pollMs)
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopping; ) {
      try {
        await turn()
        failures = 0
      } catch (error) {
        const backoff = Math.min(shortestBackoff * 2 ** failures++, longestBackoff)
        logger.error('The webhooks worker failed and goes on', { error, nextTryInMs: backoff })
        pump.dropExpired(clock.now())
        await stopped.wait(backoff)
      }
    }
  }

  async function finishUp(): Promise<void> {
    for (let failures = 0; !pump.isIdle; ) {
      try {
        await pump.flush()
        if (pump.isSending) await signal.wait()
      } catch (error) {
        logger.error('The webhooks worker could not write its last results', { error })
        if (++failures >= stopFlushes && !pump.isSending) return
        await new Promise((resolve) => setTimeout(resolve, shortestBackoff * 2 ** Math.min(failures, 5)))
      }
    }
  }

  const running = run()
  let ended: Promise<void> | undefined

  async function end(): Promise<void> {
    stopping = true
    wakeUps.delete(wake)
    signal.notify()
    stopped.notify()
    await running
    await finishUp()
    await sender.close()
  }

  return {
    stop({ graceMs } = {}) {
      if (graceMs !== undefined && !(graceMs >= 0)) {
        return Promise.reject(coreErrors.setup_error({ detail: '`graceMs` must be a number of milliseconds.' }))
      }
      ended ??= end()
      if (graceMs !== undefined) {
        const timer = setTimeout(() => sender.abort(), Math.min(graceMs, maxTimer))
        const clear = () => clearTimeout(timer)
        ended.then(clear, clear)
      }
      return ended
    },
  }
}
