/** What a middleware guard asks of a request on a route of the host's own; each framework wraps it in a few lines. */
import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../context.js'
import type { Logger } from '../runtime.js'
import { tellOfDenial } from './denied.js'
import { identify, withHeaders } from './identity.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './message.js'
import { checkOrigin } from './origin.js'
import { problemResponse } from './problem.js'
import { when } from './when.js'

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

/** Headers for the response of the guarded route, if there are any. */
type Checked = Record<string, string> | void

/** Throws a catalogue error to refuse. */
export type Check<Framework extends unknown[]> = (
  context: RequestContext,
  ...framework: Framework
) => Checked | Promise<Checked>

export type GuardResult = { pass: true; headers: Record<string, string> } | { pass: false; response: HttpResponse }

export interface GuardOptions extends Pick<RouterOptions<never>, 'trustedOrigins'> {
  logger: Logger
}

/**
 * Establishes the context and runs `check` on it. `check` throws a catalogue error to refuse, and may answer headers
 * for the response of the guarded route. Answers at once if everything is known at once. Never throws or rejects.
 */
export function guard(
  request: HttpRequest,
  options: GuardOptions,
  check: (context: RequestContext) => Checked | Promise<Checked>,
): GuardResult | Promise<GuardResult> {
  let context: RequestContext | undefined
  const refuse = async (error: unknown): Promise<GuardResult> => {
    await tellOfDenial(error, context, {}, options.logger)
    // A host's query may hold a token of its own.
    const url = request.raw.url?.split('?', 1)[0]
    const response = problemResponse(error, options.logger, { url })
    return { pass: false, response: withHeaders(response, context) }
  }
  /** As `then` does: what is thrown is refused. */
  const guarded =
    <Value>(step: (value: Value) => GuardResult | Promise<GuardResult>) =>
    (value: Value) => {
      try {
        return step(value)
      } catch (error) {
        return refuse(error)
      }
    }
  const pass = (found: RequestContext, headers: Checked): GuardResult => {
    const known: Known = request.raw
    known[contextKey] = found
    if (!found.responseHeaders) return { pass: true, headers: headers ?? noHeaders }
    return { pass: true, headers: { ...found.responseHeaders, ...headers } }
  }
  const ask = guarded((found: RequestContext) => {
    context = found
    return when(check(found), (headers) => pass(found, headers), refuse)
  })
  return guarded(() => {
    checkOrigin(request, request.raw.method ?? 'GET', options.trustedOrigins)
    return when(identify(request), ask, refuse)
  })(undefined)
}
