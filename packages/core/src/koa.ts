/** Koa 2 and 3: the route table as a `@koa/router` Router, and guards as middleware. */
import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import type { RequestContext } from './context.js'
import { coreErrors } from './errors.js'
import { type GuardOptions, guard } from './http/guard.js'
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
      const answer = await handle(module, route, toHttpRequest(ctx, ctx.params, context), options)
      send(ctx, answer, module.runtime.logger)
    })
  }
  return router
}

/** What every guard of ours takes. */
export type KoaGuardOptions = Pick<RouterOptions<Context>, 'context' | 'trustedOrigins'>

/** A middleware that lets a request pass when `check` does not throw. */
export function koaGuard(
  options: KoaGuardOptions & GuardOptions,
  check: (context: RequestContext, ctx: Context) => Promise<Record<string, string> | void>,
): Middleware {
  const context = requireContext(options)
  return async (ctx, next) => {
    const result = await guard(toHttpRequest(ctx, {}, context), options, (found) => check(found, ctx))
    if (!result.pass) return send(ctx, result.response, options.logger)
    ctx.set(result.headers)
    await next()
  }
}

function requireContext(options: { context: KoaContext }): KoaContext {
  if (typeof options?.context === 'function') return options.context
  throw coreErrors.setup_error({ detail: 'Pass `context: (ctx) => …`; nothing is open without it.' })
}

function toHttpRequest(ctx: Context, params: Record<string, string>, context: KoaContext): HttpRequest {
  const { body, rawBody } = ctx.request as { body?: unknown; rawBody?: unknown }
  return {
    raw: ctx.req,
    params,
    parsedBody: body,
    keptBody: rawBody ?? (ctx.req as { rawBody?: unknown }).rawBody,
    ip: ctx.ip,
    // Not `ctx.origin`, which in Koa 3 is what the caller claims.
    origin: `${ctx.protocol}://${ctx.host}`,
    identify: () => context(ctx),
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
