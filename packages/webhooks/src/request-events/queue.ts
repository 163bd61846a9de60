/** Events that wait to be published together. Bounded, and never in the way of whoever adds one. */
import type { Clock, Logger } from '@org/core'

export interface QueueOptions<Item> {
  publish(items: readonly Item[]): Promise<unknown>
  /** How many wait at the most; what comes then is dropped and counted. */
  maxQueued: number
  batchSize: number
  flushMs: number
  clock: Clock
  logger: Logger
}

export interface Queue<Item> {
  add(item: Item): void
  /** Publishes what waits. Never rejects: what cannot be published is dropped, counted and logged. */
  flush(): Promise<void>
}

/** How often the log says that events were dropped, at the most, in milliseconds. */
const quietMs = 60_000

/** Nothing runs before the first event, and its timer keeps no process alive. */
export function createQueue<Item>(options: QueueOptions<Item>): Queue<Item> {
  const { publish, maxQueued, batchSize, flushMs, clock, logger } = options
  let waiting: Item[] = []
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined
  let dropped = 0
  let saidAt = Number.NEGATIVE_INFINITY

  function drop(count: number, error?: unknown): void {
    dropped += count
    const now = clock.now()
    if (now - saidAt < quietMs) return
    logger.warn('Request events were dropped', { dropped, ...(error !== undefined && { error }) })
    saidAt = now
    dropped = 0
  }

  async function publishAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSize)
      waiting = waiting.slice(batchSize)
      try {
        await publish(batch)
      } catch (error) {
        drop(batch.length, error)
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    flushing ??= publishAll().finally(() => {
      flushing = undefined
    })
    return flushing
  }

  return {
    add(item) {
      if (waiting.length >= maxQueued) return drop(1)
      waiting.push(item)
      if (waiting.length >= batchSize) void flush()
      else timer ??= setTimeout(() => void flush(), flushMs).unref()
    },
    flush,
  }
}
