/** Who asks, and from where. */
import { Actor, type DeniedAttempt, ExternalId, type RequestContext, type RequestInfo } from '../context.js'
import { coreErrors, isProblem } from '../errors.js'
import type { HttpRequest, HttpResponse } from './message.js'

/** Where the request came from, cut to lengths that fit a log. */
export function requestInfo(request: HttpRequest): RequestInfo {
  const header = (name: string) => {
    const value = request.raw.headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    ip: request.ip,
    userAgent: header('user-agent')?.slice(0, 512),
    requestId: header('x-request-id')?.slice(0, 128),
  }
}

/**
 * The host's context, completed with where the request came from.
 *
 * @throws ProblemError `unauthenticated` (401) if there is none; `setup_error` (500) if it is not one.
 */
export async function identify(request: HttpRequest): Promise<RequestContext> {
  const found = await ask(request)
  if (!found) throw coreErrors.unauthenticated({ headers: { 'www-authenticate': 'Bearer' } })
  const broken = whatIsWrong(found)
  if (broken) throw coreErrors.setup_error({ detail: `context(req) must answer ${broken}, or null for nobody.` })
  // Field by field: a host's own class may answer some of them by getters, which a spread would lose.
  const { tenantId, actor, ability, tx, onDenied, responseHeaders } = found
  const info = requestInfo(request)
  return {
    tenantId,
    actor,
    ability,
    tx,
    ...(responseHeaders && { responseHeaders }),
    ...(typeof onDenied === 'function' && {
      onDenied: (attempt: DeniedAttempt, origin: RequestInfo) => found.onDenied?.(attempt, origin),
    }),
    ip: found.ip ?? info.ip,
    userAgent: found.userAgent ?? info.userAgent,
    requestId: found.requestId ?? info.requestId,
  }
}

/** The response with what the context sends along; what the response itself says comes first. */
export function withHeaders(response: HttpResponse, context: RequestContext | undefined): HttpResponse {
  const more = context?.responseHeaders
  return more ? { ...response, headers: { ...more, ...response.headers } } : response
}

/** Hosts refuse by throwing as well: Koa's `ctx.throw(401)` and every `http-errors` have a status. */
async function ask(request: HttpRequest): Promise<RequestContext | null | undefined | false> {
  try {
    return (await request.identify()) as RequestContext
  } catch (error) {
    const status = (error as { status?: unknown } | null)?.status
    if (status === 401) return null
    if (status === 403 && !isProblem(error)) throw coreErrors.forbidden({ cause: error })
    throw error
  }
}

function whatIsWrong(context: RequestContext): string | undefined {
  if (!ExternalId.safeParse(context.tenantId).success) return 'a `tenantId` of 1 to 128 characters'
  if (!Actor.safeParse(context.actor).success) return 'an `actor` { type, id }'
  if (typeof context.ability?.can !== 'function') return 'an `ability` with a `can` method'
  return undefined
}
