/** Hearing what other processes say, for as long as a process runs. What is said is a hint: nothing may depend on it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Runtime } from './runtime.js'

export interface Listener {
  /** A message came, from anybody: check it before you believe it. */
  heard(message: string): void
  /** Messages may have been missed until now. */
  reconnected(): void
  /** The connection is gone, and somebody must call `listen` again. */
  lost(error: unknown): void
}

/** Where messages come from. */
export interface MessageSource {
  /** Resolves once it listens, with how to end that; rejects if it cannot. */
  listen(listener: Listener): Promise<() => Promise<void>>
}

export interface Listening {
  /** Resolves once it listens for the first time; never rejects. */
  readonly ready: Promise<void>
  /** Ends it, and closes what it opened. */
  stop(): Promise<void>
}

/** What to do with what comes; `failed` is told of each lost connection and each attempt that could not make one. */
export type Hearing = Pick<Listener, 'heard' | 'reconnected'> & { failed(error: unknown): void }

/** The waits between attempts to listen: from a quarter of a second, twice as long each time, up to half a minute. */
const firstWaitMs = 250
const longestWaitMs = 30_000

/** Listens until it is stopped, and comes back after every failure. `reconnected` is called the first time as well. */
export function keepListening(
  source: MessageSource,
  { heard, reconnected, failed }: Hearing,
  { random }: Pick<Runtime, 'random'>,
): Listening {
  const stopping = new AbortController()
  const { signal } = stopping
  let listening = () => {}
  const ready = new Promise<void>((resolve) => {
    listening = resolve
  })

  async function run(): Promise<void> {
    let wait = firstWaitMs
    while (!signal.aborted) {
      try {
        await listen(() => {
          wait = firstWaitMs
        })
      } catch (error) {
        failed(error)
      }
      // Many processes that lost the same server must not come back at once.
      const pause = wait * (0.5 + random.number() / 2)
      wait = Math.min(wait * 2, longestWaitMs)
      if (!signal.aborted) await delay(pause, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Until the connection is lost or `stop` is called. */
  async function listen(connected: () => void): Promise<void> {
    let end = () => {}
    let lost: (error: unknown) => void = () => {}
    const over = new Promise<unknown>((resolve) => {
      lost = resolve
      end = () => resolve(undefined)
    })
    signal.addEventListener('abort', end, { once: true })
    try {
      const unlisten = await source.listen({ heard, reconnected, lost })
      reconnected()
      connected()
      listening()
      const error = await over
      await unlisten()
      if (error !== undefined) throw error
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  const running = run()
  return {
    ready,
    async stop() {
      stopping.abort()
      await running
    },
  }
}
