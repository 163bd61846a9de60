/** Koa 2 and 3: the route table as a `@koa/router` Router, and guards as middleware. */
import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { coreErrors } from './errors.js'
import { type Caller, type Check, type GuardOptions, guard } from './http/guard.js'
import { handle } from './http/handle.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './http/message.js'
import type { HttpModule } from './http/route.js'
import { streamTo } from './http/stream.js'
import type { Logger } from './runtime.js'

export type KoaContext = RouterOptions<Context>['context']

/** Mount it with `parent.use('/prefix', router.routes())`. @throws ProblemError `setup_error` if `context` is missing. */
export function koaRouter(module: HttpModule, options: RouterOptions<Context>): Router {
  const context = requireContext(options)
  const router = new Router()
  for (const route of module.routes) {
    const method = route.method.toLowerCase() as Lowercase<typeof route.method>
    router[method](route.path, async (ctx) => {
      const answer = await handle(module, route, new KoaRequest(ctx, ctx.params, context), options)
      send(ctx, answer, module.runtime.logger)
    })
  }
  return router
}

/** What every guard of ours takes. */
export type KoaGuardOptions = Pick<RouterOptions<Context>, 'context' | 'trustedOrigins'>

/** Throws a catalogue error to refuse, and may answer headers for the response of the guarded route. */
export type KoaCheck = (caller: Caller, ctx: Context) => ReturnType<Check<KoaRequest>>

/** A middleware that lets a request pass when `check` does not throw. */
export function koaGuard(options: KoaGuardOptions & GuardOptions, check: KoaCheck): Middleware {
  const context = requireContext(options)
  const checkCaller: Check<KoaRequest> = (caller) => check(caller, caller.request.ctx)
  return async (ctx, next) => {
    const result = await guard(new KoaRequest(ctx, {}, context), options, checkCaller)
    if (!result.pass) return send(ctx, result.response, options.logger)
    if (result.headers) ctx.set(result.headers)
    await next()
  }
}

function requireContext(options: { context: KoaContext }): KoaContext {
  if (typeof options?.context === 'function') return options.context
  throw coreErrors.setup_error({ detail: 'Pass `context: (ctx) => …`; nothing is open without it.' })
}

/** What costs something is found out when it is asked for. */
class KoaRequest implements HttpRequest {
  constructor(
    readonly ctx: Context,
    readonly params: Record<string, string>,
    private readonly context: KoaContext,
  ) {}

  get raw() {
    return this.ctx.req
  }

  get parsedBody(): unknown {
    return (this.ctx.request as { body?: unknown }).body
  }

  get keptBody(): unknown {
    return (this.ctx.request as { rawBody?: unknown }).rawBody ?? (this.ctx.req as { rawBody?: unknown }).rawBody
  }

  get ip(): string {
    return this.ctx.ip
  }

  get origin(): string {
    // Not `ctx.origin`, which in Koa 3 is what the caller claims.
    return `${this.ctx.protocol}://${this.ctx.host}`
  }

  identify(): unknown {
    return this.context(this.ctx)
  }
}

function send(ctx: Context, { status, headers, body }: HttpResponse, logger: Logger): void {
  const streamed = typeof body === 'object'
  if (streamed && (ctx.headerSent || ctx.res.destroyed)) return void body.return()
  ctx.status = status
  ctx.body = streamed ? streamTo(ctx.res, body, logger, { url: ctx.url }) : (body ?? null)
  ctx.status = status
  ctx.set(headers)
}
