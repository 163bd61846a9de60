/** A queue between those who publish and the workers. It carries ids, and may lose them: the database is the truth. */
import type { Logger } from '@org/core'

/** What a job of the queue says. */
export type DispatchJob =
  /** Something of the endpoint was made due, by a transaction that may still be open. */
  | { kind: 'published'; endpointId: string }
  /** Something of the endpoint was due when somebody looked. */
  | { kind: 'due'; endpointId: string }
  /** There is something to do besides sending. */
  | { kind: 'look' }

export interface DispatchConsumer {
  /** Resolves once there was room for it; false if the worker stops, and somebody else is to have it. */
  take(job: DispatchJob): Promise<boolean>
  /** The queue cannot be reached at the moment; it goes on trying by itself. */
  failed(error: unknown): void
}

/** The port of `createWebhooks({ dispatch })`. See `bullmqDispatch`. */
export interface Dispatch {
  /** Adds those of which none like it waits. Rejects within seconds if the queue cannot be reached. */
  enqueue(jobs: readonly DispatchJob[]): Promise<void>
  /** Hands out jobs until what it answers is called. */
  consume(consumer: DispatchConsumer): () => Promise<void>
  /** Closes what it has opened to enqueue; the next job opens it again. */
  close(): Promise<void>
}

/** What workers and publishers use of it: it never rejects. */
export interface Dispatching {
  dispatch: Dispatch
  /** Says that these have something due, or that there is something else to do. Not waited for. */
  announce(endpointIds: readonly string[]): void
  /** Answers whether the queue took them. */
  offer(endpointIds: readonly string[]): Promise<boolean>
  /** Logs the first failure of a series. */
  failed(error: unknown): void
}

/** The most that is added at once. */
const maxJobs = 1_000

export function createDispatching(dispatch: Dispatch, logger: Logger): Dispatching {
  const waiting = new Set<string>()
  let looking = false
  let sending = false
  let failing = false

  function failed(error: unknown): void {
    if (!failing) logger.warn('The queue of webhooks failed; what it has lost is found in the database', { error })
    failing = true
  }

  async function enqueue(jobs: readonly DispatchJob[]): Promise<boolean> {
    // That nothing was refused says nothing about the queue.
    if (jobs.length === 0) return true
    try {
      for (let n = 0; n < jobs.length; n += maxJobs) await dispatch.enqueue(jobs.slice(n, n + maxJobs))
      failing = false
      return true
    } catch (error) {
      failed(error)
      return false
    }
  }

  /** Whatever is announced while something is on its way goes together, so that no more waits than there are endpoints. */
  async function send(): Promise<void> {
    sending = true
    while (waiting.size > 0 || looking) {
      const jobs: DispatchJob[] = [...waiting].map((endpointId) => ({ kind: 'published', endpointId }))
      if (looking) jobs.push({ kind: 'look' })
      waiting.clear()
      looking = false
      await enqueue(jobs)
    }
    sending = false
  }

  return {
    dispatch,
    failed,
    announce(endpointIds) {
      for (const id of endpointIds) waiting.add(id)
      if (endpointIds.length === 0) looking = true
      if (!sending) void send()
    },
    offer: (endpointIds) => enqueue(endpointIds.map((endpointId) => ({ kind: 'due', endpointId }))),
  }
}
