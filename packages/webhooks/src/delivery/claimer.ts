/** Decides of which endpoints to claim, and how many of each. */
import type { Clock } from '@org/core'
import type { WebhooksStorage } from '../storage/port.js'
import { Agenda } from './agenda.js'
import type { Result } from './attempt.js'
import type { Engine } from './engine.js'
import type { Pump } from './pump.js'

export interface ClaimerParts {
  storage: WebhooksStorage
  engine: Engine
  pump: Pump
  clock: Clock
  /** Whether endpoints whose circuit is open are left alone. */
  heedCircuits: boolean
}

/** How many endpoints one claim asks for. */
const maxEndpoints = 200

/** How old, in milliseconds, what is known may get while there is work; older still if asking takes long. */
const refreshMs = 250
const refreshShare = 20

export class Claimer {
  readonly agenda = new Agenda()
  readonly #parts: ClaimerParts
  #refreshedAt = Number.NEGATIVE_INFINITY
  #refreshCost = 0

  constructor(parts: ClaimerParts) {
    this.#parts = parts
  }

  /** Asks the database which endpoints have something pending. */
  async refresh(): Promise<void> {
    const { storage, clock } = this.#parts
    const began = clock.now()
    this.agenda.replace(await storage.read(({ deliveries }) => deliveries.agenda()))
    this.#refreshedAt = clock.now()
    this.#refreshCost = this.#refreshedAt - began
  }

  get isStale(): boolean {
    const age = this.#parts.clock.now() - this.#refreshedAt
    return age >= Math.max(refreshMs, this.#refreshCost * refreshShare)
  }

  /** Claims from those that are due, as much as there is room for. Answers how much; null if none was due. */
  async claim(dueBy: number): Promise<number | null> {
    const { engine, pump, heedCircuits } = this.#parts
    const { free } = pump
    if (free <= 0) return null
    const ids = this.agenda.due(dueBy, Math.min(free, maxEndpoints), (id) => pump.freeOf(id) > 0)
    if (ids.length === 0) return null
    const share = Math.ceil(free / ids.length)
    const wanted = new Map(ids.map((id) => [id, Math.min(share, pump.freeOf(id))]))
    const { jobs, more, notBefore } = await engine.claim(wanted, { dueBy, heedCircuits })
    for (const id of ids) {
      const until = notBefore.get(id)
      this.agenda.served(id, more.has(id) || until !== undefined)
      if (until !== undefined) this.agenda.putOff(id, until)
    }
    pump.take(jobs)
    return jobs.length
  }

  /** What is known from what this worker itself has written. */
  noteFinished(results: readonly Result[]): void {
    for (const { job, outcome } of results) {
      const { endpointId, orderKey } = job.delivery
      if (outcome.kind === 'retry' || outcome.kind === 'released') this.agenda.note(endpointId, outcome.dueAt)
      else if (orderKey !== null) this.agenda.note(endpointId, this.#parts.clock.now())
      // A place of those that are counted over all workers is free again.
      else if (job.endpoint?.maxInFlight) this.agenda.note(endpointId, this.#parts.clock.now())
    }
  }
}
