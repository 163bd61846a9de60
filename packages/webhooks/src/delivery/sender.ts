/** One HTTP exchange: bounded in time and size, no redirects, kept-alive connections. */
import type { LookupFunction } from 'node:net'
import { type Clock, coreErrors } from '@org/core'
import { Agent, Pool } from 'undici'
import type { AttemptError } from '../deliveries/schema.js'
import type { AddressGuard } from './address-guard.js'
import { guardedConnector, type Route, TracedClient } from './connect.js'
import { failureOf } from './failure.js'

/** How the host's network is reached. */
export interface NetworkOptions {
  /** Addresses and CIDRs that may be reached although they are not public: `['10.1.0.0/16']`. */
  allow?: readonly string[]
  /** Whether `http://` endpoints may be registered. They are only delivered to at addresses inside `allow`. */
  allowHttp?: boolean
  /** A further root certificate in PEM, next to those of Node.js. */
  ca?: string | Buffer
  /** The deadline of a whole exchange, from connecting to the end of the response's body: 20 s unless told, at most 10 min. */
  timeoutMs?: number
  /** Resolves names in place of `dns.lookup`. What it answers is judged just the same. */
  lookup?: LookupFunction
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

/** How much of a response's body is read and kept, in bytes. */
export const maxResponseBytes = 16 * 1024

export interface OutgoingRequest {
  url: string
  headers: Record<string, string>
  body: string
}

export interface Exchange {
  address: string | null
  status: number | null
  responseHeaders: Record<string, string> | null
  responseBody: string | null
  responseTruncated: boolean
  /** Null for a 2xx whose body ended, or was long enough. */
  error: AttemptError | null
  detail: string | null
  durationMs: number
}

export interface Sender {
  send(request: OutgoingRequest): Promise<Exchange>
  /** Ends what is being sent, and whatever would be from now on, with the error `worker_stopped`. */
  abort(): void
  /** Drops the connections, also those that are still being made. */
  close(): Promise<void>
}

export interface SenderOptions {
  lookup: NetworkOptions['lookup'] | undefined
  ca: NetworkOptions['ca'] | undefined
  guard: AddressGuard
  timeoutMs: number
  clock: Clock
}

/** Opens nothing until the first `send`. */
export function createSender(options: SenderOptions): Sender {
  const { timeoutMs, clock } = options
  const connect = guardedConnector(options)
  const agent = new Agent({
    headersTimeout: 0, // the one deadline below covers every phase
    bodyTimeout: 0,
    factory: (origin, poolOptions) =>
      new Pool(origin, {
        ...poolOptions,
        factory: (own, clientOptions) => new TracedClient(own, clientOptions, connect),
      }),
  })
  const running = new Set<AbortController>()
  let aborted = false

  async function send(request: OutgoingRequest): Promise<Exchange> {
    const startedAt = clock.now()
    const exchange = emptyExchange()
    const opaque: { route: Route } = { route: { address: null } }
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort('timeout' satisfies AttemptError), timeoutMs)
    running.add(controller)
    if (aborted) controller.abort('worker_stopped' satisfies AttemptError)
    try {
      const { origin, pathname, search } = new URL(request.url)
      const asked = agent.request({
        origin,
        path: pathname + search,
        method: 'POST',
        headers: request.headers,
        body: request.body,
        signal: controller.signal,
        opaque,
      })
      const response = await Promise.race([asked, rejectedBy(controller.signal)])
      exchange.status = response.statusCode
      exchange.responseHeaders = flatHeaders(response.headers)
      exchange.address = opaque.route.address
      Object.assign(exchange, await readBounded(response.body))
      Object.assign(exchange, judge(response.statusCode))
    } catch (error) {
      Object.assign(exchange, failureOf(error, controller.signal, timeoutMs))
      exchange.address ??= opaque.route.address
    } finally {
      clearTimeout(timer)
      running.delete(controller)
    }
    return { ...exchange, durationMs: clock.now() - startedAt }
  }

  return {
    send,
    abort() {
      aborted = true
      for (const controller of running) controller.abort('worker_stopped' satisfies AttemptError)
    },
    close: () => agent.destroy(),
  }
}

/** undici looks at the signal only when there is a connection. */
function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason))
  })
}

function emptyExchange(): Exchange {
  return {
    address: null,
    status: null,
    responseHeaders: null,
    responseBody: null,
    responseTruncated: false,
    error: null,
    detail: null,
    durationMs: 0,
  }
}

function judge(status: number): Pick<Exchange, 'error' | 'detail'> {
  if (status >= 200 && status < 300) return { error: null, detail: null }
  if (status === 410) return { error: 'gone', detail: 'The endpoint answered 410 Gone.' }
  if (status >= 300 && status < 400) return { error: 'redirect', detail: `Redirects are not followed (${status}).` }
  return { error: 'http_status', detail: `The endpoint answered ${status}.` }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<Pick<Exchange, 'responseBody' | 'responseTruncated'>> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop early destroys the stream, and with it the connection.
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxResponseBytes) break
  }
  const kept = Buffer.concat(chunks).subarray(0, maxResponseBytes)
  return { responseBody: printable(kept.toString()), responseTruncated: size > maxResponseBytes }
}

function flatHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, printable([value].flat().join(', '))])
  return Object.fromEntries(entries)
}

/** PostgreSQL stores no NUL in text. */
function printable(text: string): string {
  return text.replaceAll('\u0000', '\uFFFD')
}
