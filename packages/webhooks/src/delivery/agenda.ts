/**
 * Which endpoints have something due, so that a claim takes from each by name: a backlog of one cannot hide what others
 * have, however long it is. The database is the truth; this is what a worker knows of it since it last looked.
 */
import type { Due } from '../deliveries/store.js'

export class Agenda {
  /** When to look at an endpoint. Whoever was served last stands last. */
  #due = new Map<string, number>()

  /** Takes over what the database says. Those that are there already keep their turn. */
  replace(entries: readonly Due[]): void {
    const found = new Map(entries.map(({ endpointId, dueAt }) => [endpointId, dueAt]))
    const next = new Map<string, number>()
    for (const id of this.#due.keys()) {
      const dueAt = found.get(id)
      if (dueAt === undefined) continue
      next.set(id, dueAt)
      found.delete(id)
    }
    for (const [id, dueAt] of found) next.set(id, dueAt)
    this.#due = next
  }

  /** Something of it is due by then, at the latest. */
  note(endpointId: string, dueAt: number): void {
    this.#due.set(endpointId, Math.min(dueAt, this.#due.get(endpointId) ?? dueAt))
  }

  /** Nothing of it is to be looked at before then. */
  putOff(endpointId: string, until: number): void {
    if (this.#due.has(endpointId)) this.#due.set(endpointId, until)
  }

  /** It was asked for some: it has its next turn after the others', or none until it is noted again. */
  served(endpointId: string, hasMore: boolean): void {
    const dueAt = this.#due.get(endpointId)
    this.#due.delete(endpointId)
    if (hasMore && dueAt !== undefined) this.#due.set(endpointId, dueAt)
  }

  /** Up to so many endpoints that have something due, in their turns; `accepts` passes over those without room. */
  due(now: number, limit: number, accepts: (endpointId: string) => boolean): string[] {
    const found: string[] = []
    for (const [id, dueAt] of this.#due) {
      if (dueAt > now || !accepts(id)) continue
      found.push(id)
      if (found.length >= limit) break
    }
    return found
  }

  /** When the next endpoint is due that is not yet; null if none is. */
  nextAfter(now: number): number | null {
    let next: number | null = null
    for (const dueAt of this.#due.values()) if (dueAt > now && (next === null || dueAt < next)) next = dueAt
    return next
  }
}
