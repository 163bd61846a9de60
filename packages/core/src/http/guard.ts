/** What a middleware guard asks of a request on a route of the host's own; each framework wraps it in a few lines. */
import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../context.js'
import type { Logger } from '../runtime.js'
import { tellOfDenial } from './denied.js'
import { identify, withHeaders } from './identity.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './message.js'
import { checkOrigin } from './origin.js'
import { problemResponse } from './problem.js'

/**
 * Where a request keeps who was found to ask, so that a handler behind several guards reads it without asking again. On
 * the request itself: a weak map of all requests costs the garbage collector more than the guard costs.
 */
const contextKey = Symbol('context')

type Known = IncomingMessage & { [contextKey]?: RequestContext }

const noHeaders: Record<string, string> = Object.freeze({})

/**
 * The context that a guard in front of this handler established. Takes the Express request, the Koa context or the
 * Node.js request.
 */
export function contextOf(request: IncomingMessage | { req: IncomingMessage }): RequestContext | undefined {
  const raw = 'req' in request && 'headers' in request.req ? request.req : (request as IncomingMessage)
  return (raw as Known)[contextKey]
}

export type GuardResult = { pass: true; headers: Record<string, string> } | { pass: false; response: HttpResponse }

export interface GuardOptions extends Pick<RouterOptions<never>, 'trustedOrigins'> {
  logger: Logger
}

/**
 * Establishes the context and runs `check` on it. `check` throws a catalogue error to refuse, and may answer headers
 * for the response of the guarded route. Never rejects.
 */
export async function guard(
  request: HttpRequest,
  options: GuardOptions,
  check: (context: RequestContext) => Promise<Record<string, string> | void>,
): Promise<GuardResult> {
  let context: RequestContext | undefined
  try {
    checkOrigin(request, request.raw.method ?? 'GET', options.trustedOrigins)
    context = await identify(request)
    const headers = await check(context)
    const known: Known = request.raw
    known[contextKey] = context
    if (!context.responseHeaders) return { pass: true, headers: headers ?? noHeaders }
    return { pass: true, headers: { ...context.responseHeaders, ...headers } }
  } catch (error) {
    await tellOfDenial(error, context, {}, options.logger)
    const response = problemResponse(error, options.logger, { url: request.raw.url })
    return { pass: false, response: withHeaders(response, context) }
  }
}
