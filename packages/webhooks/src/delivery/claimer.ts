/** Decides of which endpoints to claim, and how many of each. */
import type { Clock } from '@org/core'
import type { Due } from '../deliveries/store.js'
import type { WebhooksStorage } from '../storage/port.js'
import { Agenda } from './agenda.js'
import type { Result } from './attempt.js'
import type { Dispatching } from './dispatch.js'
import type { Engine } from './engine.js'
import type { Pump } from './pump.js'

export interface ClaimerParts {
  storage: WebhooksStorage
  engine: Engine
  pump: Pump
  clock: Clock
  /** Whether endpoints whose circuit is open are left alone. */
  heedCircuits: boolean
  /** Where endpoints come from, if not from looking; what looking finds then goes there. */
  queue?: { dispatching: Dispatching; pollMs: number } | undefined
  /** Called when something is to be claimed that was not, while it may be waiting. */
  onNoted: () => void
}

/** How many endpoints one claim asks for. */
const maxEndpoints = 200

/** How old, in milliseconds, what is known may get while there is work; older still if asking takes long. */
const refreshMs = 250
const refreshShare = 20

/** The most that one look into the database puts into the queue; the next look goes on from there. */
const maxOffers = 5_000

/** What is looked for again, first after so many milliseconds, and then after twice as long each time. */
const firstLook = 2

export class Claimer {
  readonly agenda = new Agenda()
  readonly #parts: ClaimerParts
  /** Endpoints of which something is to come, with the wait before the next look: its transaction may still be open. */
  readonly #expected = new Map<string, number>()
  #offeredUpTo = ''
  #refreshedAt = Number.NEGATIVE_INFINITY
  #refreshCost = 0

  constructor(parts: ClaimerParts) {
    this.#parts = parts
  }

  /** Asks the database which endpoints have something pending. */
  async refresh(): Promise<void> {
    const { storage, clock } = this.#parts
    const began = clock.now()
    const found = await storage.read(({ deliveries }) => deliveries.agenda())
    this.#refreshedAt = clock.now()
    this.#refreshCost = this.#refreshedAt - began
    if (!this.#parts.queue) this.agenda.replace(found)
    else if (!(await this.#offer(this.#nextOffers(found, began)))) this.agenda.replace(found)
  }

  get isStale(): boolean {
    return this.staleIn <= 0
  }

  /** In how many milliseconds the database is to be asked again. */
  get staleIn(): number {
    const { clock, queue } = this.#parts
    const age = clock.now() - this.#refreshedAt
    // The clock was set back.
    if (age < 0) return 0
    return Math.max(queue?.pollMs ?? refreshMs, this.#refreshCost * refreshShare) - age
  }

  /** Whether so many endpoints already wait to be asked, which fill all places. */
  hasBacklog(limit: number): boolean {
    const { clock, pump } = this.#parts
    return this.agenda.due(clock.now(), limit, (id) => pump.freeOf(id) > 0).length >= limit
  }

  /** Something of it is to come any moment. */
  expect(endpointId: string): void {
    this.#expected.set(endpointId, firstLook)
    this.agenda.note(endpointId, this.#parts.clock.now())
  }

  /** Leaves to other workers what is due and not claimed. */
  async handBack(): Promise<void> {
    await this.#offer(this.agenda.due(this.#parts.clock.now(), maxOffers, () => true))
  }

  async #offer(endpointIds: readonly string[]): Promise<boolean> {
    return this.#parts.queue?.dispatching.offer(endpointIds) ?? false
  }

  /** In a round over all endpoints, so that those which are due for long cannot keep the others out. */
  #nextOffers(found: readonly Due[], now: number): string[] {
    const due = found.filter(({ dueAt }) => dueAt <= now).map(({ endpointId }) => endpointId)
    if (due.length <= maxOffers) return due
    due.sort()
    const from = due.findIndex((id) => id > this.#offeredUpTo)
    const next = [...due.slice(from), ...due.slice(0, Math.max(from, 0))].slice(0, maxOffers)
    this.#offeredUpTo = next.at(-1) ?? ''
    return next
  }

  /** Claims from those that are due, as much as there is room for. Answers how much; null if none was due. */
  async claim(dueBy: number): Promise<number | null> {
    const { engine, pump, heedCircuits, queue } = this.#parts
    const { free } = pump
    if (free <= 0) return null
    const ids = this.agenda.due(dueBy, Math.min(free, maxEndpoints), (id) => pump.freeOf(id) > 0)
    if (ids.length === 0) return null
    const wanted = this.#sharesOf(ids, free)
    const { jobs, more, notBefore } = await engine.claim(wanted, { dueBy, heedCircuits })
    for (const id of wanted.keys()) {
      const until = notBefore.get(id)
      this.agenda.served(id, (more.has(id) && !queue) || until !== undefined)
      if (until !== undefined) this.agenda.putOff(id, until)
    }
    if (queue) this.#share([...more].filter((id) => !notBefore.has(id)))
    if (queue)
      this.#lookAgain(
        ids.filter((id) => !notBefore.has(id)),
        queue.pollMs,
      )
    pump.take(jobs)
    return jobs.length
  }

  /** The same for each, within what its own limits and its tenant's leave. */
  #sharesOf(ids: readonly string[], free: number): Map<string, number> {
    const { pump } = this.#parts
    const share = Math.ceil(free / ids.length)
    const leftOf = new Map<string | undefined, number>()
    const shares = new Map<string, number>()
    for (const id of ids) {
      const tenantId = pump.tenantOf(id)
      const left = leftOf.get(tenantId) ?? pump.freeOfTenant(tenantId)
      const own = Math.min(share, pump.freeOf(id), left)
      if (own <= 0) continue
      shares.set(id, own)
      leftOf.set(tenantId, left - own)
    }
    return shares
  }

  /** Whoever has room takes the rest: through the queue, or by this worker if that is out of reach. */
  #share(more: readonly string[]): void {
    if (more.length === 0) return
    void this.#offer(more).then((taken) => {
      const now = this.#parts.clock.now()
      if (taken) return
      for (const id of more) this.agenda.note(id, now)
      this.#parts.onNoted()
    })
  }

  /** For what was announced and is not there yet, until looking at all would find it anyway. */
  #lookAgain(ids: readonly string[], longest: number): void {
    for (const id of ids) {
      const wait = this.#expected.get(id)
      if (wait === undefined) continue
      this.agenda.note(id, this.#parts.clock.now() + wait)
      if (wait * 2 > longest) this.#expected.delete(id)
      else this.#expected.set(id, wait * 2)
    }
  }

  /** What is known from what this worker itself has written. */
  noteFinished(results: readonly Result[]): void {
    const now = this.#parts.clock.now()
    let noted = false
    for (const { job, outcome } of results) {
      const { endpointId, orderKey } = job.delivery
      const isPutOff = outcome.kind === 'retry' || outcome.kind === 'released'
      // The next of its key may go out; a place of those that are counted over all workers is free again.
      if (!isPutOff && orderKey === null && !job.endpoint?.maxInFlight) continue
      this.agenda.note(endpointId, isPutOff ? outcome.dueAt : now)
      noted = true
    }
    if (noted) this.#parts.onNoted()
  }
}
