/** Delivers until it is told to stop. Polling is the truth; a wake-up only makes it sooner. */
import { type Clock, coreErrors, type Logger } from '@org/core'
import type { Claimer } from './claimer.js'
import type { DispatchJob } from './dispatch.js'
import type { Pump } from './pump.js'
import type { Sender } from './sender.js'
import { Gate, type Signal } from './signal.js'

export interface Worker {
  /**
   * Claims nothing more, waits for what is being sent and writes what came of it. What is still being sent after
   * `graceMs` (the exchange's own deadline unless told) is ended and released, to be sent by whoever claims it next.
   * May be called again with a shorter grace. With a grace, it comes back 10 s after that at the latest, also when the
   * database does not answer any more.
   *
   * @throws ProblemError `setup_error` for a grace that is no time.
   */
  stop(options?: { graceMs?: number }): Promise<void>
}

/** What tells a worker to look: that it has room, that something ended, that something was published. */
export interface WorkerSignals {
  room: Signal
  ended: Signal
  /** Opened when there is room, for jobs of a queue. */
  roomForJobs: Gate
  /** Opened when more has ended than one writer can write. */
  pilingUp: Gate
}

/** What is told to a worker from outside. */
export interface WorkerEars {
  /** These have something due, or will, once a transaction is committed; none says that there is something else to do. */
  wake(endpointIds: readonly string[]): void
  /** A job of the queue. False if the worker stops. */
  take(job: DispatchJob): Promise<boolean>
}

export interface WorkerParts {
  pump: Pump
  sender: Sender
  claimer: Claimer
  signals: WorkerSignals
  /** Each does a part of what is to be done besides sending, and answers whether there was any. None waits for another. */
  chores: readonly (() => Promise<boolean>)[]
  /** Throws if the storage cannot be read. */
  probe: () => Promise<unknown>
  /** Whether work comes from a queue, and looking only fills that. */
  queued: boolean
  /** Connects whatever tells it; answers how to end that. */
  connect: (ears: WorkerEars) => () => Promise<void>
  /** Called when all is done. */
  closed: () => Promise<void>
  concurrency: number
  pollMs: number
  clock: Clock
  logger: Logger
}

/** What an idle worker waits first, in milliseconds; each further wait is twice as long, up to `pollMs`. */
const shortestWait = 2

/** How long what ended waits for company, so that many are written together, in milliseconds. */
const lingerMs = 10

const shortestBackoff = 100
const longestBackoff = 30_000

/** How often results that a storage in good health refuses are written before they are left to the ends of their leases. */
const maxRefusals = 3

/** How often a stopping worker tries to write its results before it leaves them to the ends of their leases. */
const stopFlushes = 5

/** How long a stop with a grace waits after that for what is to be written, in milliseconds. */
const writeMs = 10_000

/** The longest that a timer waits; beyond it fires at once. */
const maxTimer = 2 ** 31 - 1

export function runWorker(parts: WorkerParts): Worker {
  const { pump, sender, claimer, signals, chores, probe, queued, concurrency, pollMs, clock, logger } = parts
  const stopped = new Gate()
  const woken = new Gate()
  let wakeUps = 0
  let stopping = false
  let wait = shortestWait
  let refusals = 0

  const wake = (endpointIds: readonly string[]) => {
    wait = shortestWait
    for (const id of endpointIds) claimer.agenda.note(id, clock.now())
    signals.room.notify()
    lookAround()
  }

  function lookAround(): void {
    wakeUps++
    woken.open()
  }

  /** Waits for room first, so that what is behind it is left to others who have some. */
  async function take(job: DispatchJob): Promise<boolean> {
    while (!stopping && (!pump.hasRoom || claimer.hasBacklog(concurrency))) await signals.roomForJobs.wait()
    if (stopping) return false
    if (job.kind === 'look') lookAround()
    else if (job.kind === 'published') claimer.expect(job.endpointId)
    else claimer.agenda.note(job.endpointId, clock.now())
    signals.room.notify()
    return true
  }

  const disconnect = parts.connect({ wake, take })

  /** Does `turn` again and again; a failure is logged and tried again for ever. */
  async function loop(turn: () => Promise<void>): Promise<void> {
    for (let failures = 0; !stopping; ) {
      try {
        await turn()
        failures = 0
      } catch (error) {
        const backoff = Math.min(shortestBackoff * 2 ** failures++, longestBackoff)
        logger.error('The webhooks worker failed and goes on', { error, nextTryInMs: backoff })
        pump.results.dropExpired(clock.now())
        if (!stopping) await stopped.wait(backoff)
      }
    }
  }

  async function claimTurn(): Promise<void> {
    if (!pump.hasRoom) return void (await signals.room.wait(pollMs))
    if (claimer.isStale) await claimer.refresh()
    if (stopping) return
    const claimed = await claimer.claim(clock.now())
    signals.roomForJobs.open()
    if (claimed !== null && claimed > 0) {
      wait = shortestWait
      return
    }
    if (claimed === 0) return
    // Told of room or of news it looks at what it knows; only who has waited in vain asks the database.
    if (await signals.room.wait(Math.min(queued ? claimer.staleIn : wait, nextDueIn()))) return
    wait = Math.min(wait * 2, pollMs)
    if (!stopping && !queued) await claimer.refresh()
  }

  /** What it knows to be due later is sent on time, however long it waits otherwise. */
  function nextDueIn(): number {
    const now = clock.now()
    const next = claimer.agenda.nextAfter(now)
    return next === null ? maxTimer : next - now
  }

  async function finishTurn(): Promise<void> {
    if (pump.results.count === 0) return void (await signals.ended.wait())
    if (pump.results.count < concurrency && !stopping) await new Promise((resolve) => setTimeout(resolve, lingerMs))
    await flush()
  }

  async function helpTurn(): Promise<void> {
    if (pump.results.isPilingUp) await pump.results.help()
    else await signals.pilingUp.wait()
  }

  /** A result that cannot be written, because a sink refuses it, must not keep the worker from everybody else's. */
  async function flush(): Promise<void> {
    try {
      await pump.results.flush()
      refusals = 0
    } catch (error) {
      await probe()
      if (++refusals < maxRefusals) throw error
      refusals = 0
      pump.results.leave(error)
    }
  }

  async function choreTurn(chore: () => Promise<boolean>): Promise<void> {
    const seen = wakeUps
    while (!stopping && (await chore())) {}
    // Whatever it was woken for meanwhile may have come after it had looked.
    if (!stopping && seen === wakeUps) await woken.wait(pollMs)
  }

  async function finishUp(): Promise<void> {
    pump.release(clock.now())
    for (let failures = 0; !pump.isIdle; ) {
      try {
        await pump.results.flush()
        if (pump.isSending) await signals.ended.wait()
        else if (pump.isLocked) {
          if (++failures >= stopFlushes) return
          await new Promise((resolve) => setTimeout(resolve, shortestBackoff * 2 ** failures))
          pump.results.tryLocked()
        }
      } catch (error) {
        logger.error('The webhooks worker could not write its last results', { error })
        if (++failures >= stopFlushes && !pump.isSending) return
        await new Promise((resolve) => setTimeout(resolve, shortestBackoff * 2 ** Math.min(failures, 5)))
      }
    }
  }

  const turns = [claimTurn, finishTurn, helpTurn, ...chores.map((chore) => () => choreTurn(chore))]
  const running = Promise.all(turns.map(loop))
  let ended: Promise<void> | undefined

  async function end(): Promise<void> {
    stopping = true
    for (const signal of [signals.room, signals.ended]) signal.notify()
    for (const gate of [woken, stopped, signals.roomForJobs, signals.pilingUp]) gate.open()
    await disconnect()
    await running
    await finishUp()
    if (queued) await claimer.handBack()
    await sender.close()
    await parts.closed()
  }

  return {
    stop({ graceMs } = {}) {
      if (graceMs !== undefined && !(graceMs >= 0)) {
        return Promise.reject(coreErrors.setup_error({ detail: '`graceMs` must be a number of milliseconds.' }))
      }
      ended ??= end()
      if (graceMs === undefined) return ended
      const timer = setTimeout(() => sender.abort(), Math.min(graceMs, maxTimer))
      const silent = new Promise<void>((resolve) => {
        const last = setTimeout(
          () => {
            logger.error(
              'The webhooks worker stops though its database does not answer: what it holds waits for its leases',
            )
            resolve()
          },
          Math.min(graceMs + writeMs, maxTimer),
        )
        const clear = () => {
          clearTimeout(timer)
          clearTimeout(last)
        }
        ended?.then(clear, clear)
      })
      return Promise.race([ended, silent])
    },
  }
}
