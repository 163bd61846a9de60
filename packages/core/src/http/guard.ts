/** What a middleware guard asks of a request on a route of the host's own; each framework wraps it in a few lines. */
import type { IncomingMessage } from 'node:http'
import type { Ability, RequestContext } from '../context.js'
import { isPromise } from '../promise.js'
import type { Logger } from '../runtime.js'
import { tellOfDenial } from './denied.js'
import { begin, complete, identify, withHeaders } from './identity.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './message.js'
import { checkOrigin } from './origin.js'
import { problemResponse } from './problem.js'

/**
 * Where a request keeps who was found to ask, so that a handler behind several guards reads it without asking again: on
 * the list of its raw headers. A property of the request itself costs as much as all else that a guard does, since each
 * request has a shape of its own to V8; a weak map costs no less.
 */
const callerKey = Symbol('caller')

type Kept = { [callerKey]?: Caller }

const keptOn = (raw: IncomingMessage): Kept => (raw.rawHeaders ?? raw) as Kept

/** Who was found to ask. Their address is looked up when somebody wants to know. */
export class Caller<Request extends HttpRequest = HttpRequest> {
  readonly request: Request
  /** What the host said is copied before it is checked: its object may be another's a moment later. */
  private readonly begun: RequestContext

  constructor(found: RequestContext, request: Request) {
    this.request = request
    this.begun = begin(request, found)
    const { raw } = request
    // A host may change this header for a server behind it. Without it the connection says who calls, which Node.js
    // forgets when they hang up, unless it was asked before.
    if (raw.headers['x-forwarded-for'] !== undefined) complete(request, this.begun)
    else raw.socket?.remoteAddress
  }

  get ability(): Ability {
    return this.begun.ability
  }

  get responseHeaders(): RequestContext['responseHeaders'] {
    return this.begun.responseHeaders
  }

  get context(): RequestContext {
    return complete(this.request, this.begun)
  }
}

/**
 * The context that a guard in front of this handler established. Takes the Express request, the Koa context or the
 * Node.js request.
 */
export function contextOf(request: IncomingMessage | { req: IncomingMessage }): RequestContext | undefined {
  const raw = 'req' in request && 'headers' in request.req ? request.req : (request as IncomingMessage)
  const caller = keptOn(raw)[callerKey]
  // Whoever makes a request out of another may hand its list of headers on.
  return caller?.request.raw === raw ? caller.context : undefined
}

/** Headers for the response of the guarded route, if there are any. */
type Checked = Record<string, string> | void

/** Throws a catalogue error to refuse. */
export type Check<Request extends HttpRequest> = (caller: Caller<Request>) => Checked | Promise<Checked>

export type GuardResult =
  | { pass: true; headers: Record<string, string> | undefined }
  | { pass: false; response: HttpResponse }

export interface GuardOptions extends Pick<RouterOptions<never>, 'trustedOrigins'> {
  logger: Logger
}

/**
 * Establishes the caller and runs `check` on it. `check` throws a catalogue error to refuse, and may answer headers for
 * the response of the guarded route. Answers at once if everything is known at once: each turn of the event loop is felt
 * on every request. Never throws or rejects.
 */
export function guard<Request extends HttpRequest>(
  request: Request,
  options: GuardOptions,
  check: Check<Request>,
): GuardResult | Promise<GuardResult> {
  try {
    checkOrigin(request, request.raw.method ?? 'GET', options.trustedOrigins)
    const found = identify(request)
    return isPromise(found) ? admitLater(found, request, options, check) : admit(found, request, options, check)
  } catch (error) {
    return refuse(error, request, options)
  }
}

async function admitLater<Request extends HttpRequest>(
  found: Promise<RequestContext>,
  request: Request,
  options: GuardOptions,
  check: Check<Request>,
): Promise<GuardResult> {
  try {
    return admit(await found, request, options, check)
  } catch (error) {
    return refuse(error, request, options)
  }
}

/** @throws whatever the host's context throws when it is read. */
function admit<Request extends HttpRequest>(
  found: RequestContext,
  request: Request,
  options: GuardOptions,
  check: Check<Request>,
): GuardResult | Promise<GuardResult> {
  const caller = new Caller(found, request)
  try {
    const checked = check(caller)
    return isPromise(checked) ? passLater(checked, caller, options) : pass(checked, caller)
  } catch (error) {
    return refuse(error, request, options, caller)
  }
}

async function passLater(checked: Promise<Checked>, caller: Caller, options: GuardOptions): Promise<GuardResult> {
  try {
    return pass(await checked, caller)
  } catch (error) {
    return refuse(error, caller.request, options, caller)
  }
}

const passed: GuardResult = Object.freeze({ pass: true, headers: undefined })

function pass(headers: Checked, caller: Caller): GuardResult {
  keptOn(caller.request.raw)[callerKey] = caller
  const { responseHeaders } = caller
  return headers || responseHeaders ? { pass: true, headers: { ...responseHeaders, ...headers } } : passed
}

async function refuse(
  error: unknown,
  request: HttpRequest,
  { logger }: GuardOptions,
  caller?: Caller,
): Promise<GuardResult> {
  await tellOfDenial(error, caller, undefined, logger)
  // A host's query may hold a token of its own.
  const url = request.raw.url?.split('?', 1)[0]
  return { pass: false, response: withHeaders(problemResponse(error, logger, { url }), caller) }
}
