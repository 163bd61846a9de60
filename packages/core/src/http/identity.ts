/** Who asks, and from where. */
import { isActor, isExternalId, type RequestContext, type RequestInfo } from '../context.js'
import { coreErrors, isProblem } from '../errors.js'
import { isPromise } from '../promise.js'
import type { HttpRequest, HttpResponse } from './message.js'

/** Where the request came from. */
export function requestInfo(request: HttpRequest): RequestInfo {
  return { ip: request.ip, ...namesOf(request) }
}

/** What a request calls its client and itself, cut to lengths that fit a log; what the host knows better comes first. */
function namesOf({ raw: { headers } }: HttpRequest, known: RequestInfo = {}): Omit<RequestInfo, 'ip'> {
  return {
    userAgent: known.userAgent ?? firstOf(headers['user-agent'], 512),
    requestId: known.requestId ?? firstOf(headers['x-request-id'], 128),
  }
}

function firstOf(header: string | string[] | undefined, length: number): string | undefined {
  return typeof header === 'string' ? header.slice(0, length) : undefined
}

/** What a host's `context` may answer, whatever its type says. */
type Found = RequestContext | null | undefined | false

/**
 * The host's context, as it is. At once if the host answers at once.
 *
 * @throws ProblemError `unauthenticated` (401) if there is none; `setup_error` (500) if it is not one.
 */
export function identify(request: HttpRequest): RequestContext | Promise<RequestContext> {
  let found: Found | PromiseLike<Found>
  try {
    found = request.identify() as Found | PromiseLike<Found>
  } catch (error) {
    return known(refusal(error))
  }
  return isPromise(found) ? Promise.resolve(found).then(known, (error) => known(refusal(error))) : known(found)
}

function known(found: Found): RequestContext {
  if (!found) throw coreErrors.unauthenticated({ headers: { 'www-authenticate': 'Bearer' } })
  const broken = whatIsWrong(found)
  if (broken) throw coreErrors.setup_error({ detail: `context(req) must answer ${broken}, or null for nobody.` })
  return found
}

/**
 * The host's context with where the request came from, but for the address: frameworks work that out anew whenever they
 * are asked, which costs more than most guards do. Never the host's own object, which may serve other requests as well.
 */
export function begin(request: HttpRequest, found: RequestContext): RequestContext {
  // Field by field: a host's own class may answer some of them by getters, which a spread would lose.
  const { tenantId, actor, ability, tx, responseHeaders, ip } = found
  const { userAgent, requestId } = namesOf(request, found)
  return { tenantId, actor, ability, tx, ip, userAgent, requestId, responseHeaders, onDenied: tellerOf(found) }
}

/** Once the address is wanted. */
export function complete(request: HttpRequest, context: RequestContext): RequestContext {
  context.ip ??= request.ip
  return context
}

/** As a method of the host's own context, which may be a class. */
function tellerOf(found: RequestContext): RequestContext['onDenied'] {
  const { onDenied } = found
  return typeof onDenied === 'function' ? (attempt, origin) => onDenied.call(found, attempt, origin) : undefined
}

/** The response with what the context sends along; what the response itself says comes first. */
export function withHeaders(
  response: HttpResponse,
  sent: Pick<RequestContext, 'responseHeaders'> | undefined,
): HttpResponse {
  const more = sent?.responseHeaders
  return more ? { ...response, headers: { ...more, ...response.headers } } : response
}

/** Hosts refuse by throwing as well: Koa's `ctx.throw(401)` and every `http-errors` have a status. */
function refusal(error: unknown): null {
  const status = (error as { status?: unknown } | null)?.status
  if (status === 401) return null
  if (status === 403 && !isProblem(error)) throw coreErrors.forbidden({ cause: error })
  throw error
}

function whatIsWrong(context: RequestContext): string | undefined {
  if (!isExternalId(context.tenantId)) return 'a `tenantId` of 1 to 128 characters'
  if (!isActor(context.actor)) return 'an `actor` { type, id }'
  if (typeof context.ability?.can !== 'function') return 'an `ability` with a `can` method'
  return undefined
}
