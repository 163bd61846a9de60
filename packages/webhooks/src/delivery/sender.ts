/** HTTP exchanges: bounded in time and size, no redirects, kept-alive connections. */
import type { Clock } from '@org/core'
import type { AddressGuard } from './address-guard.js'
import { guardedDial } from './connect.js'
import { type Exchange, noAnswer, RunningExchange } from './exchange.js'
import type { NetworkOptions } from './network.js'
import { createPool, type Pool } from './pool.js'
import { parseProxy } from './proxy.js'

export type { Exchange } from './exchange.js'
export { checkNetwork, defaultTimeoutMs, type NetworkOptions } from './network.js'

export interface OutgoingRequest {
  url: string
  headers: Record<string, string>
  body: string
  /** The deadline of this exchange, in milliseconds: the sender's own unless told, and never later. */
  timeoutMs?: number
}

export interface Sender {
  /** Never rejects: what goes wrong is the exchange's `error`. */
  send(request: OutgoingRequest): Promise<Exchange>
  /** Ends what is being sent, and whatever would be from now on, with the error `worker_stopped`. */
  abort(): void
  /** The same, and drops the connections, also those that are still being made. */
  close(): Promise<void>
}

export interface PooledSender extends Sender {
  /** How many origins and connections are held, idle ones included. */
  readonly size: Pool['size']
}

export interface SenderOptions {
  lookup: NetworkOptions['lookup'] | undefined
  ca: NetworkOptions['ca'] | undefined
  proxy?: NetworkOptions['proxy'] | undefined
  maxConnectionsPerOrigin?: NetworkOptions['maxConnectionsPerOrigin'] | undefined
  guard: AddressGuard
  /** The latest deadline of any exchange, in milliseconds. */
  timeoutMs: number
  clock: Clock
}

/** How many URLs are remembered in their parts. */
const maxTargets = 1_000

/** Opens nothing until the first `send`. */
export function createSender(options: SenderOptions): PooledSender {
  const { guard, lookup, ca, clock, timeoutMs, maxConnectionsPerOrigin = Number.POSITIVE_INFINITY } = options
  const proxy = options.proxy === undefined ? null : parseProxy(options.proxy)
  const dial = guardedDial({ guard, lookup, ca, proxy })
  const pool = createPool({ dial, maxPerOrigin: maxConnectionsPerOrigin, now: () => clock.now() })
  const running = new Set<RunningExchange>()
  const targets = new Map<string, Target>()
  const context = { pool, clock, running }
  let aborted = false

  function targetOf(url: string): Target | null {
    const known = targets.get(url)
    if (known) return known
    if (!URL.canParse(url)) return null
    const { origin, pathname, search } = new URL(url)
    const target = { origin, path: pathname + search }
    if (targets.size >= maxTargets) targets.clear()
    targets.set(url, target)
    return target
  }

  function abort(): void {
    aborted = true
    for (const exchange of running) exchange.stop('worker_stopped')
  }

  return {
    send({ url, headers, body, timeoutMs: own = timeoutMs }) {
      if (aborted) return Promise.resolve(noAnswer('worker_stopped', null))
      const target = targetOf(url)
      if (!target) return Promise.resolve(noAnswer('send_failed', 'The URL is not one.'))
      const { origin, path } = target
      const request = { origin, path, headers, body, timeoutMs: Math.min(own, timeoutMs) }
      return new RunningExchange(request, context).outcome
    },
    abort,
    close() {
      abort()
      return pool.close()
    },
    get size() {
      return pool.size
    },
  }
}

interface Target {
  origin: string
  path: string
}
