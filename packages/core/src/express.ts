/** Express 4 and 5: the route table as an `express.Router()`, and guards as middleware. */
import { type Request, type RequestHandler, type Response, Router } from 'express'
import type { RequestContext } from './context.js'
import { coreErrors } from './errors.js'
import { type GuardOptions, guard } from './http/guard.js'
import { handle } from './http/handle.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './http/message.js'
import type { HttpModule } from './http/route.js'

export type ExpressContext = RouterOptions<Request>['context']

/** @throws ProblemError `setup_error` if `context` is missing. */
export function expressRouter(module: HttpModule, options: RouterOptions<Request>): Router {
  const context = requireContext(options)
  const router = Router()
  for (const route of module.routes) {
    const method = route.method.toLowerCase() as Lowercase<typeof route.method>
    router[method](route.path, async (request, response) => {
      send(response, await handle(module, route, toHttpRequest(request, context), options))
    })
  }
  return router
}

/** A middleware that lets a request pass when `check` does not throw. */
export function expressGuard(
  options: Pick<RouterOptions<Request>, 'context' | 'trustedOrigins'> & GuardOptions,
  check: (context: RequestContext, request: Request, response: Response) => Promise<Record<string, string> | void>,
): RequestHandler {
  const context = requireContext(options)
  return async (request, response, next) => {
    const result = await guard(toHttpRequest(request, context), options, (found) => check(found, request, response))
    if (!result.pass) return send(response, result.response)
    response.set(result.headers)
    next()
  }
}

function requireContext(options: { context: ExpressContext }): ExpressContext {
  if (typeof options?.context === 'function') return options.context
  throw coreErrors.setup_error({ detail: 'Pass `context: (req) => …`; nothing is open without it.' })
}

function toHttpRequest(request: Request, context: ExpressContext): HttpRequest {
  return {
    raw: request,
    params: request.params as Record<string, string>,
    parsedBody: request.body,
    keptBody: (request as { rawBody?: unknown }).rawBody,
    ip: request.ip,
    origin: `${request.protocol}://${request.headers.host ?? ''}`,
    identify: () => context(request),
  }
}

function send(response: Response, { status, headers, body }: HttpResponse): void {
  response.status(status).set(headers)
  response.end(body)
}
