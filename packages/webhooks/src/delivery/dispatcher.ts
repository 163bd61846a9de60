/** Starts workers, and drains. */
import { parse } from '@org/core'
import type { z } from 'zod'
import type { Deps } from '../deps.js'
import { createEngine } from './engine.js'
import { createFinish } from './finish.js'
import { Pump } from './pump.js'
import { WorkerOptions } from './schema.js'
import { checkTimeout, createSender, defaultTimeoutMs } from './sender.js'
import { Signal } from './signal.js'
import { runWorker, type Worker } from './worker.js'

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
  /** Delivers all that is due now, each once (again only if its next attempt is due now too), and returns. */
  drain(): Promise<Drained>
}

/**
 * Every running worker adds to `wakeUps` what makes it look sooner.
 *
 * @throws ProblemError `setup_error` for a deadline that cannot be one.
 */
export function createDispatcher(deps: Deps, wakeUps: Set<() => void>): Dispatcher {
  const { storage, runtime, schedule, network, guard } = deps
  const { clock, logger } = runtime
  const { lookup, ca } = network
  const timeoutMs = checkTimeout(network.timeoutMs ?? defaultTimeoutMs)
  const engine = createEngine({ storage, runtime, schedule, timeoutMs })
  const finish = createFinish(deps)

  function assemble(limits: z.output<typeof WorkerOptions>) {
    const signal = new Signal()
    const sender = createSender({ guard, lookup, ca, timeoutMs, clock })
    const { concurrency, maxInFlightPerEndpoint: perEndpoint } = limits
    return { signal, sender, pump: new Pump({ engine, finish, sender, logger, signal, concurrency, perEndpoint }) }
  }

  return {
    startWorker(options = {}) {
      const parsed = parse(WorkerOptions, options)
      const anyDue = () => storage.read(({ deliveries }) => deliveries.anyDue(clock.now()))
      return runWorker({ ...assemble(parsed), anyDue, pollMs: parsed.pollMs, clock, logger }, wakeUps)
    },

    async drain() {
      const { signal, sender, pump } = assemble(parse(WorkerOptions, {}))
      const dueBy = clock.now()
      try {
        for (;;) {
          await pump.flush()
          const claimed = await pump.claim(dueBy)
          if (claimed === 0 && pump.isIdle) break
          if (claimed === 0) await signal.wait()
        }
      } finally {
        while (pump.isSending) await signal.wait()
        await sender.close()
      }
      const { delivered, retry, dead_letter, held, canceled } = pump.counts
      return { delivered, rescheduled: retry, deadLettered: dead_letter, held, canceled }
    },
  }
}
