/** One request and its answer, from the wait for a connection to the end of the body. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '@org/core'
import { type Dispatcher, errors } from 'undici'
import type { AttemptError } from '../deliveries/schema.js'
import { failureOf } from './failure.js'
import type { Connection, Pool, Waiter } from './pool.js'
import { BodyReader, flatHeaders, type KeptBody } from './response.js'

/** What came of a request. */
export interface Exchange {
  address: string | null
  status: number | null
  responseHeaders: Record<string, string> | null
  /** What was read of it, also if the exchange failed later. */
  responseBody: string | null
  responseTruncated: boolean
  /** Null for a 2xx whose body ended, or was long enough. */
  error: AttemptError | null
  detail: string | null
  durationMs: number
}

/** What comes of a request that nothing was heard of. */
export function noAnswer(error: AttemptError, detail: string | null): Exchange {
  return {
    address: null,
    status: null,
    responseHeaders: null,
    responseBody: null,
    responseTruncated: false,
    error,
    detail,
    durationMs: 0,
  }
}

/** A request whose URL is taken apart. */
export interface PreparedRequest {
  origin: string
  path: string
  headers: Record<string, string>
  body: string
  timeoutMs: number
}

/** What exchanges stand on. Each is in `running` until its outcome is known. */
export interface ExchangeContext {
  pool: Pool
  clock: Clock
  running: Set<RunningExchange>
}

/** A receiver that sends more of these before its answer is not going to send one (RFC 9110 section 15.2). */
const maxInformational = 16

/** Begins at once. It always comes to an end, and never throws. */
export class RunningExchange implements Dispatcher.DispatchHandler, Waiter {
  readonly outcome: Promise<Exchange>
  readonly #request: PreparedRequest
  readonly #context: ExchangeContext
  readonly #startedAt: number
  readonly #timer: NodeJS.Timeout
  #resolve!: (exchange: Exchange) => void
  #connection: Connection | null = null
  #settled = false
  #sent = false
  #informational = 0
  #status: number | null = null
  #headers: IncomingHttpHeaders | null = null
  #body: BodyReader | null = null

  constructor(request: PreparedRequest, context: ExchangeContext) {
    this.#request = request
    this.#context = context
    this.#startedAt = context.clock.now()
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#timer = setTimeout(timedOut, request.timeoutMs, this)
    context.running.add(this)
    context.pool.acquire(request.origin, this)
  }

  /** Ends it here and now, whichever phase it is in. */
  stop(error: 'timeout' | 'worker_stopped'): void {
    const detail = error === 'timeout' ? `No full answer within ${this.#request.timeoutMs} ms.` : null
    if (!this.#settled) this.#end({ error, detail }, false)
  }

  useConnection(connection: Connection): void {
    this.#connection = connection
    const { path, headers, body } = this.#request
    connection.client.dispatch({ path, method: 'POST', headers, body }, this)
  }

  onRequestStart(): void {
    this.#sent = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#settled) return
    if (status < 200) {
      this.#informational += 1
      if (this.#informational > maxInformational) controller.abort(new EndlessPrelude())
      return
    }
    this.#status = status
    this.#headers = headers
    this.#body = new BodyReader(String(headers['content-encoding'] ?? ''))
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled || this.#body?.add(chunk)) return
    this.#end(judge(this.#status ?? 0), false)
  }

  onResponseEnd(): void {
    if (!this.#settled) this.#end(judge(this.#status ?? 0), true)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return
    const connection = this.#connection
    const refused = error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError
    if (connection?.used && !this.#sent && !refused) {
      // The receiver closed a kept-alive connection, or talked out of turn on it, before anything of this was sent.
      this.#context.pool.drop(connection)
      this.#context.pool.acquire(this.#request.origin, this)
      return
    }
    this.#end(failureOf(error), false)
  }

  #end(result: Verdict & { address?: string }, ended: boolean): void {
    const { pool, clock, running } = this.#context
    const connection = this.#connection
    const now = clock.now()
    this.#settled = true
    clearTimeout(this.#timer)
    const exchange: Exchange = {
      address: connection?.address ?? result.address ?? null,
      status: this.#status,
      responseHeaders: this.#headers && flatHeaders(this.#headers),
      responseBody: null,
      responseTruncated: false,
      error: result.error,
      detail: result.detail,
      durationMs: Math.max(0, now - this.#startedAt),
    }
    if (!connection) pool.cancel(this.#request.origin, this)
    else if (ended && this.#headers?.connection !== 'close') pool.release(connection, now)
    else pool.drop(connection)
    running.delete(this)

    const kept = this.#body?.finish(ended)
    if (kept instanceof Promise) void kept.then((body) => this.#resolve(withBody(exchange, body)))
    else this.#resolve(kept ? withBody(exchange, kept) : exchange)
  }
}

function timedOut(exchange: RunningExchange): void {
  exchange.stop('timeout')
}

function withBody(exchange: Exchange, kept: KeptBody): Exchange {
  exchange.responseBody = kept.responseBody
  exchange.responseTruncated = kept.responseTruncated
  return exchange
}

class EndlessPrelude extends Error {
  readonly code = 'ENDLESS_PRELUDE'

  constructor() {
    super(`The endpoint sent more than ${maxInformational} responses of the kind 1xx.`)
  }
}

type Verdict = Pick<Exchange, 'error' | 'detail'>

function judge(status: number): Verdict {
  if (status >= 200 && status < 300) return { error: null, detail: null }
  if (status === 410) return { error: 'gone', detail: 'The endpoint answered 410 Gone.' }
  if (status >= 300 && status < 400) return { error: 'redirect', detail: `Redirects are not followed (${status}).` }
  return { error: 'http_status', detail: `The endpoint answered ${status}.` }
}
