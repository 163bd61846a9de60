/** Starts workers, and drains. */
import { type Emit, parse, type Runtime } from '@org/core'
import type { z } from 'zod'
import type { EndpointsService } from '../endpoints/service.js'
import type { webhooksEvents } from '../events.js'
import type { WebhooksStorage } from '../storage/port.js'
import type { AddressGuard } from './address-guard.js'
import { createEngine } from './engine.js'
import { createFinish } from './finish.js'
import { Pump } from './pump.js'
import { checkTimeout, createSender, defaultTimeoutMs, type NetworkOptions } from './sender.js'
import { Signal } from './signal.js'
import { runWorker, type Worker, WorkerOptions } from './worker.js'

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

export interface DeliveryServiceOptions {
  storage: WebhooksStorage
  runtime: Runtime
  schedule: readonly number[]
  network: NetworkOptions
  guard: AddressGuard
  endpoints: EndpointsService
  emit: Emit<typeof webhooksEvents>
}

export type DeliveryService = ReturnType<typeof createDeliveryService>

export function createDeliveryService(options: DeliveryServiceOptions) {
  const { storage, runtime, schedule, network, guard, endpoints, emit } = options
  const { clock, logger } = runtime
  const { lookup, ca } = network
  const timeoutMs = checkTimeout(network.timeoutMs ?? defaultTimeoutMs)
  const engine = createEngine({ storage, runtime, schedule, timeoutMs })
  const finish = createFinish({ storage, runtime, endpoints, emit })
  const wakeUps = new Set<() => void>()

  function assemble(limits: z.output<typeof WorkerOptions>) {
    const signal = new Signal()
    const sender = createSender({ guard, lookup, ca, timeoutMs, clock })
    const { concurrency, maxInFlightPerEndpoint: perEndpoint } = limits
    return { signal, sender, pump: new Pump({ engine, finish, sender, logger, signal, concurrency, perEndpoint }) }
  }

  return {
    /** Something may be due: workers of this process look sooner. */
    wake(): void {
      for (const wake of wakeUps) wake()
    },

    /**
     * Delivers in the background until `stop()`. A failing poll is logged and tried again for ever. Keeps the process
     * alive.
     *
     * @throws ProblemError `invalid_input` for an option that is not one.
     */
    startWorker(options: WorkerOptions = {}): Worker {
      const parsed = parse(WorkerOptions, options)
      const anyDue = () => storage.read(({ deliveries }) => deliveries.anyDue(clock.now()))
      return runWorker({ ...assemble(parsed), anyDue, pollMs: parsed.pollMs, clock, logger }, wakeUps)
    },

    /** Delivers all that is due now, each once (again only if its next attempt is due now too), and returns. */
    async drain(): Promise<Drained> {
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
