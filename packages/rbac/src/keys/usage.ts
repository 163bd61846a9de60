/** When keys were last used, written down in batches: a request waits for no write. */
import type { Deps } from '../deps.js'

/** How often a process writes it down, in milliseconds. */
const interval = 60_000

/** How many keys one transaction notes. */
const batch = 100

export function createUsage({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>) {
  const { clock, logger } = runtime
  let pending = new Map<string, number>()
  let flushedAt = Number.NEGATIVE_INFINITY
  const running = new Set<Promise<void>>()

  async function write(): Promise<void> {
    flushedAt = clock.now()
    const uses = [...pending].map(([id, at]) => ({ id, at }))
    pending = new Map()
    // Always in the same order, so that two processes do not wait for each other.
    uses.sort((a, b) => (a.id < b.id ? -1 : 1))
    for (let start = 0; start < uses.length; start += batch) {
      const part = uses.slice(start, start + batch)
      try {
        await storage.run(({ keys }) => keys.used(part))
      } catch (error) {
        for (const { id, at } of uses.slice(start)) pending.set(id, Math.max(at, pending.get(id) ?? 0))
        logger.warn('@org/rbac: when API keys were last used could not be noted; the next try follows', { error })
        // Each of the others might wait for a connection as long, and whoever shuts down for all of them.
        return
      }
    }
  }

  /** Goes on by itself; `settle` waits for it. It must not reject. */
  function inBackground(work: Promise<void>): void {
    const tracked = work.finally(() => running.delete(tracked))
    running.add(tracked)
  }

  return {
    inBackground,
    /** With `mayWrite`, takes along what is due. */
    note(id: string, mayWrite: boolean): void {
      const now = clock.now()
      pending.set(id, now)
      // Also when the clock was put back.
      if (mayWrite && Math.abs(now - flushedAt) >= interval) inBackground(write())
    },
    /** Writes down what there is, and waits for whatever is under way. */
    async flush(): Promise<void> {
      if (pending.size > 0) inBackground(write())
      await Promise.all(running)
    },
  }
}

export type Usage = ReturnType<typeof createUsage>
