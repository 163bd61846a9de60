/** Bounds how much is remembered. */
import type { Entry } from './tenant.js'

/**
 * Entries in the order in which they came. One that was asked for since it was last looked at gets a second chance, so
 * that a hit costs no more than a flag (the clock algorithm; Corbató 1968).
 */
export class Entries {
  readonly #queue = new Map<Entry, () => void>()

  constructor(readonly max: number) {}

  /** `drop` takes the entry out of where it is looked up. */
  add(entry: Entry, drop: () => void): void {
    this.#queue.set(entry, drop)
    for (const [oldest, dropOldest] of this.#queue) {
      if (this.#queue.size <= this.max) return
      this.#queue.delete(oldest)
      const isLive = oldest.snapshot.tenant.snapshot === oldest.snapshot
      if (isLive && oldest.used) {
        oldest.used = false
        this.#queue.set(oldest, dropOldest)
      } else dropOldest()
    }
  }
}
