/** What the two framework adapters hand to the shared handler, and what they get back. */
import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../context.js'
import type { StreamedParts } from './stream.js'

export interface HttpRequest {
  raw: IncomingMessage
  params: Record<string, string>
  /** What a host's parser made of the body, if one ran. */
  parsedBody: unknown
  /** The bytes that a host's parser kept, by the convention `rawBody`. */
  keptBody: unknown
  /** The caller's address by the framework's own trust-proxy rules. */
  ip: string | undefined
  /** `https://app.example` as the browser sees it, by the framework's own trust-proxy rules. */
  origin: string
  identify(): unknown
}

export interface HttpResponse {
  status: number
  headers: Record<string, string>
  /** Already serialised, or what makes it bit by bit; undefined for none. */
  body: string | StreamedParts | undefined
}

export interface RouterOptions<Request> {
  /**
   * Who is asking: a {@link RequestContext}, or null if nobody is signed in (401). Required: there is no default, and
   * nothing is open without it.
   */
  context: (request: Request) => RequestContext | null | Promise<RequestContext | null>
  /** The largest JSON body read, in bytes; 1 MiB unless told. A parser of the host's has a limit of its own. */
  bodyLimit?: number
  /** Other origins, such as `https://app.example`, whose pages may use a cookie session. */
  trustedOrigins?: readonly string[]
}
