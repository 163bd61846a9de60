/** Express 4 and 5: the route table as an `express.Router()`, and guards as middleware. */
import { type NextFunction, type Request, type RequestHandler, type Response, Router } from 'express'
import { coreErrors } from './errors.js'
import { type Caller, type Check, type GuardOptions, type GuardResult, guard } from './http/guard.js'
import { handle } from './http/handle.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './http/message.js'
import type { HttpModule } from './http/route.js'
import { streamTo } from './http/stream.js'
import type { Logger } from './runtime.js'

export type ExpressContext = RouterOptions<Request>['context']

/** @throws ProblemError `setup_error` if `context` is missing. */
export function expressRouter(module: HttpModule, options: RouterOptions<Request>): Router {
  const context = requireContext(options)
  // Hosts mount under paths such as /orgs/:org, and read that in their `context`.
  const router = Router({ mergeParams: true })
  for (const route of module.routes) {
    const method = route.method.toLowerCase() as Lowercase<typeof route.method>
    router[method](route.path, (request, response, next) => {
      // Express 4 does not look at the promise, and an unhandled rejection ends the process.
      handle(module, route, new ExpressRequest(request, response, context), options)
        .then((answer) => send(response, answer, module.runtime.logger))
        .catch(next)
    })
  }
  return router
}

/** What every guard of ours takes. */
export type ExpressGuardOptions = Pick<RouterOptions<Request>, 'context' | 'trustedOrigins'>

/** Throws a catalogue error to refuse, and may answer headers for the response of the guarded route. */
export type ExpressCheck = (caller: Caller, request: Request, response: Response) => ReturnType<Check<ExpressRequest>>

/** A middleware that lets a request pass when `check` does not throw. */
export function expressGuard(options: ExpressGuardOptions & GuardOptions, check: ExpressCheck): RequestHandler {
  const context = requireContext(options)
  const checkCaller: Check<ExpressRequest> = (caller) => check(caller, caller.request.raw, caller.request.response)
  return (request, response, next) => {
    const result = guard(new ExpressRequest(request, response, context), options, checkCaller)
    if (result instanceof Promise) result.then((late) => finish(late, response, next, options.logger)).catch(next)
    else finish(result, response, next, options.logger)
  }
}

function finish(result: GuardResult, response: Response, next: NextFunction, logger: Logger): void {
  if (result.pass) {
    if (result.headers) response.set(result.headers)
    next()
  } else send(response, result.response, logger)
}

function requireContext(options: { context: ExpressContext }): ExpressContext {
  if (typeof options?.context === 'function') return options.context
  throw coreErrors.setup_error({ detail: 'Pass `context: (req) => …`; nothing is open without it.' })
}

/** What costs something is found out when it is asked for. */
class ExpressRequest implements HttpRequest {
  constructor(
    readonly raw: Request,
    readonly response: Response,
    private readonly context: ExpressContext,
  ) {}

  get params(): Record<string, string> {
    return this.raw.params as Record<string, string>
  }

  get parsedBody(): unknown {
    return this.raw.body
  }

  get keptBody(): unknown {
    return (this.raw as { rawBody?: unknown }).rawBody
  }

  get ip(): string | undefined {
    return this.raw.ip
  }

  get origin(): string {
    return `${this.raw.protocol}://${hostOf(this.raw)}`
  }

  identify(): unknown {
    return this.context(this.raw)
  }
}

/** With its port. Express 4's `req.host` has none; both trust the forwarded one by the app's `trust proxy`. */
function hostOf(request: Request): string {
  const trusts: (address: string | undefined, hop: number) => boolean = request.app.get('trust proxy fn')
  const forwarded = request.get('x-forwarded-host')
  if (forwarded && trusts(request.socket.remoteAddress, 0)) return forwarded.split(',', 1)[0]?.trim() ?? ''
  return request.get('host') ?? ''
}

function send(response: Response, { status, headers, body }: HttpResponse, logger: Logger): void {
  const streamed = typeof body === 'object'
  // A time-out of the host's may have answered already, or the client may be gone.
  if (response.headersSent || (streamed && response.destroyed)) {
    if (streamed) void body.return()
    return
  }
  response.status(status).set(headers)
  if (streamed) streamTo(response, body, logger, { url: response.req.originalUrl }).pipe(response)
  else response.end(body)
}
