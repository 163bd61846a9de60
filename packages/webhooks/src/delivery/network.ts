/** How the host's network is reached, and whether that can be. */
import type { LookupFunction } from 'node:net'
import { coreErrors } from '@org/core'
import { parseProxy } from './proxy.js'

/** How the host's network is reached. */
export interface NetworkOptions {
  /** Addresses and CIDRs that may be reached although they are not public: `['10.1.0.0/16']`. */
  allow?: readonly string[]
  /** Whether `http://` endpoints may be registered. They are only delivered to at addresses inside `allow`. */
  allowHttp?: boolean
  /** A further root certificate in PEM, next to those of Node.js. */
  ca?: string | Buffer
  /**
   * The deadline of a whole exchange, from the wait for a free connection to the end of the response's body: 20 s
   * unless told, at most 10 min.
   */
  timeoutMs?: number
  /**
   * Resolves names in place of our own way, which asks the nameservers of the system and its files only for what those do
   * not know. What it answers is judged just the same.
   */
  lookup?: LookupFunction
  /**
   * An HTTP proxy that every delivery goes through: `'http://user:password@proxy.internal:3128'`, or `https:`. It must
   * allow CONNECT to the endpoints' ports. Names are still resolved and judged here, and the proxy is only asked for
   * addresses that were; its own address is not judged.
   */
  proxy?: string
  /** How many connections one origin may have at once: as many as are asked for unless told. What is more waits. */
  maxConnectionsPerOrigin?: number
}

/** Standard Webhooks advises 15 to 30 s. */
export const defaultTimeoutMs = 20_000

/** What a lease is held up by at the most when its worker dies. A timer of more than 2³¹ ms would fire at once. */
const maxTimeoutMs = 10 * 60 * 1000

/** @throws ProblemError `setup_error` for a time that cannot be a deadline. */
export function checkTimeout(timeoutMs: number): number {
  if (Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs <= maxTimeoutMs) return timeoutMs
  throw coreErrors.setup_error({ detail: `\`network.timeoutMs\` must be a whole number from 1 to ${maxTimeoutMs}.` })
}

/** @throws ProblemError `setup_error` for a deadline, a proxy or a number of connections that cannot be one. */
export function checkNetwork(network: NetworkOptions): void {
  const { timeoutMs, proxy, maxConnectionsPerOrigin: connections } = network
  if (timeoutMs !== undefined) checkTimeout(timeoutMs)
  if (proxy !== undefined) parseProxy(proxy)
  if (connections !== undefined && (!Number.isInteger(connections) || connections < 1)) {
    throw coreErrors.setup_error({ detail: '`network.maxConnectionsPerOrigin` must be a whole number from 1.' })
  }
}
