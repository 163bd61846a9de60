/** @org/rbac on Koa 2 and 3. */
import type Router from '@koa/router'
import type { RequestContext, RouterOptions } from '@org/core'
import { type KoaGuardOptions, koaGuard, koaRouter } from '@org/core/koa'
import type { Context, Middleware } from 'koa'
import { type Row, warnOfClosedRoutes } from './guard.js'
import { credentialOf } from './keys/credentials.js'
import type { ActionOf, ResourceOf, Resources } from './permissions/resources.js'
import type { Rbac } from './rbac.js'

/** All routes: `router.use('/api/rbac', rbacRouter(rbac, { context: rbac.context((ctx) => …) }).routes())`. */
export function rbacRouter<R extends Resources>(rbac: Rbac<R>, options: RouterOptions<Context>): Router {
  warnOfClosedRoutes(rbac)
  return koaRouter(rbac.http, options)
}

/** `context` says who is asking; usually it is `rbac.context((ctx) => …)`. */
export interface RequirePermissionOptions extends KoaGuardOptions {
  /**
   * The row that the request is about, looked for in `context.tenantId`: a row of another tenant must not be found. Null
   * or undefined answers 404.
   */
  row?: (ctx: Context, context: RequestContext) => Row | Promise<Row>
  /** The fields that the request reads or writes, for rights over some fields: `(ctx) => Object.keys(ctx.request.body ?? {})`. */
  fields?: (ctx: Context, context: RequestContext) => readonly string[] | Promise<readonly string[]>
}

/**
 * Lets a request pass to a route of the host's own if the caller has the permission: 401 without an identity, 403
 * naming the action and the resource otherwise. Handlers behind it read the context with `contextOf(ctx)` from '@org/rbac'.
 *
 * @throws ProblemError `setup_error` at once for a resource or an action that the catalog does not know, and for a guard
 *   without `row` or `fields` where a role of the host's has the right over some rows or fields only.
 */
export function requirePermission<R extends Resources, Resource extends ResourceOf<R>>(
  rbac: Rbac<R>,
  resource: Resource,
  action: ActionOf<R, Resource>,
  { row, fields, ...options }: RequirePermissionOptions = {} as RequirePermissionOptions,
): Middleware {
  const check = rbac.guard(resource, action, { row: row !== undefined, fields: fields !== undefined })
  return koaGuard({ ...options, logger: rbac.http.runtime.logger }, (caller, ctx) => {
    if (!row && !fields) return check(caller)
    return check(caller, {
      row: row && (() => row(ctx, caller.context)),
      fields: fields && (() => fields(ctx, caller.context)),
    })
  })
}

export interface ApiKeyAuthOptions extends Pick<KoaGuardOptions, 'trustedOrigins'> {
  /** The only header that is read, `Authorization` by its Bearer scheme; unless told, that one and `X-Api-Key`. */
  header?: string
}

/**
 * Lets a request pass to routes of the host's own if it carries an API key that works: 401 otherwise, whatever the
 * reason; 403 from an address that the key may not be used from; 429 with `Retry-After` beyond the key's rate limit, and
 * for an address that failed too often. Answers where the key stands in its limit. Handlers behind it read the context
 * with `contextOf(ctx)`; what the key may do is for `requirePermission` to say.
 */
export function apiKeyAuth<R extends Resources>(
  rbac: Rbac<R>,
  { header, ...options }: ApiKeyAuthOptions = {},
): Middleware {
  const context = rbac.context((ctx: Context) => {
    const apiKey = credentialOf(ctx.headers, header)
    return apiKey === undefined ? null : { apiKey }
  })
  return koaGuard({ ...options, context, logger: rbac.http.runtime.logger }, async () => {})
}
