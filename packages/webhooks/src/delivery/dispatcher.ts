/** Starts workers, and drains. */
import { coreErrors, parse } from '@org/core'
import type { z } from 'zod'
import type { Deps } from '../deps.js'
import { maxEndpointTimeoutMs } from '../endpoints/schema.js'
import type { FanOut } from '../messages/fan-out.js'
import { watchSender } from '../telemetry/worker.js'
import { createAttempting, type Result } from './attempt.js'
import { Claimer, type ClaimerParts } from './claimer.js'
import { checkClock } from './clock-check.js'
import { connectTo } from './connections.js'
import type { Dispatching } from './dispatch.js'
import { createEngine } from './engine.js'
import { createFinish } from './finish.js'
import { createOutgoing } from './outgoing.js'
import { Pump } from './pump.js'
import { WorkerOptions } from './schema.js'
import { checkNetwork, createSender, defaultTimeoutMs } from './sender.js'
import { Gate, Signal } from './signal.js'
import { runWorker, type Worker } from './worker.js'

/** How often a drain waits 5 s for rows that somebody has locked. */
const maxDrainWaits = 6

/** What a drain did. */
export interface Drained {
  delivered: number
  /** Failed, and due again later. */
  rescheduled: number
  deadLettered: number
  /** Their endpoint is disabled. */
  held: number
  /** Their endpoint is deleted. */
  canceled: number
}

export interface Dispatcher {
  /**
   * Delivers in the background until `stop()`. A failing poll is logged and tried again for ever. Keeps the process
   * alive.
   *
   * @throws ProblemError `invalid_input` for an option that is not one.
   */
  startWorker(options?: WorkerOptions): Worker
  /**
   * Delivers all that is due now, each once (again only if its next attempt is due now too), and returns. It also tries
   * endpoints that a worker leaves alone because they keep failing; rate limits hold.
   *
   * @throws ProblemError `busy` if what came of some could not be written for 30 s, since another transaction has locked
   *   them: they are sent again.
   */
  drain(): Promise<Drained>
}

/** What workers do besides. */
export interface Besides {
  /** Does a turn of a job; answers whether there was any. */
  jobs: () => Promise<boolean>
  /** Does a part of what has no hurry, which a drain leaves alone; answers whether there was any. */
  idle: () => Promise<boolean>
  /** Hears of what was written. */
  onFinished: (results: readonly Result[]) => void
}

/**
 * Every running worker adds to `wakeUps` what makes it look sooner; with a queue, its work comes from there instead.
 *
 * @throws ProblemError `setup_error` for a deadline that cannot be one.
 */
export function createDispatcher(
  deps: Deps,
  fanOut: FanOut,
  wakeUps: Set<(endpointIds: readonly string[]) => void>,
  besides: Besides,
  dispatching?: Dispatching,
): Dispatcher {
  const { storage, runtime, network, guard } = deps
  const { clock, logger } = runtime
  checkNetwork(network)
  const { timeoutMs = defaultTimeoutMs } = network
  const engine = createEngine({ storage, runtime }, timeoutMs)
  const attempting = createAttempting(deps, createOutgoing(deps), timeoutMs)
  const finish = createFinish(deps)
  const chores = [fanOut.goOn, besides.jobs, besides.idle]
  const probe = () => storage.read(({ endpoints }) => endpoints.byIds(['']))

  const longest = Math.max(timeoutMs, maxEndpointTimeoutMs)

  function assemble(limits: z.output<typeof WorkerOptions>, heedCircuits: boolean, queue?: ClaimerParts['queue']) {
    const { concurrency, maxInFlightPerEndpoint: perEndpoint } = limits
    const signals = { room: new Signal(), ended: new Signal(), roomForJobs: new Gate(), pilingUp: new Gate() }
    const { lookup, ca, proxy, maxConnectionsPerOrigin } = network
    const watched = watchSender(
      createSender({ guard, lookup, ca, proxy, maxConnectionsPerOrigin, timeoutMs: longest, clock }),
    )
    const { sender } = watched
    const tellRoom = () => {
      if (!pump.hasRoom) return
      signals.roomForJobs.open()
      signals.room.notify()
    }
    const pump: Pump = new Pump({
      attempting,
      finish,
      sender,
      logger,
      probe,
      concurrency,
      perEndpoint,
      onEnd() {
        signals.ended.notify()
        if (pump.results.isPilingUp) signals.pilingUp.open()
        tellRoom()
      },
      onFinished(results) {
        tellRoom()
        claimer.noteFinished(results)
        watched.finished(results)
        besides.onFinished(results)
      },
    })
    const onNoted = () => signals.room.notify()
    const claimer = new Claimer({ storage, engine, pump, clock, heedCircuits, queue, onNoted })
    return { signals, sender, pump, claimer }
  }

  return {
    startWorker(options = {}) {
      const parsed = parse(WorkerOptions, options)
      const { concurrency, pollMs } = parsed
      void checkClock(storage, clock, logger)
      return runWorker({
        ...assemble(parsed, true, dispatching && { dispatching, pollMs }),
        chores,
        probe,
        queued: dispatching !== undefined,
        connect: (ears) => connectTo(ears, { wakeUps, dispatching, source: storage.wakeUps, runtime }),
        closed: async () => dispatching?.dispatch.close(),
        ...{ concurrency, pollMs, clock, logger },
      })
    },

    async drain() {
      const { signals, sender, pump, claimer } = assemble(parse(WorkerOptions, {}), false)
      let dueBy: number | undefined
      let waits = 0
      try {
        for (;;) {
          for (const chore of [fanOut.goOn, besides.jobs]) while (await chore()) {}
          await claimer.refresh()
          dueBy ??= clock.now()
          while ((await claimer.claim(dueBy)) !== null) {}
          if (pump.isIdle) break
          if (pump.isLocked && ++waits > maxDrainWaits) {
            throw coreErrors.busy({ detail: 'Another transaction keeps rows locked that were to be written.' })
          }
          if (pump.results.count === 0) await signals.ended.wait()
          await pump.results.flush()
        }
      } finally {
        pump.release(clock.now())
        while (pump.isSending) await signals.ended.wait()
        await sender.close()
      }
      const { delivered, retry, dead_letter, held, canceled } = pump.counts
      return { delivered, rescheduled: retry, deadLettered: dead_letter, held, canceled }
    },
  }
}
