/** @org/rbac on Koa 2 and 3. */
import type Router from '@koa/router'
import type { RequestContext, RouterOptions } from '@org/core'
import { type KoaContext, koaGuard, koaRouter } from '@org/core/koa'
import type { Context, Middleware } from 'koa'
import { permissionGuard, type Row, warnOfClosedRoutes } from './guard.js'
import type { ActionOf, Rbac, ResourceOf, Resources } from './index.js'

export type { KoaContext }

/** All routes: `router.use('/api/rbac', rbacRouter(rbac, { context: rbac.context((ctx) => …) }).routes())`. */
export function rbacRouter<R extends Resources>(rbac: Rbac<R>, options: RouterOptions<Context>): Router {
  warnOfClosedRoutes(rbac)
  return koaRouter(rbac.http, options)
}

export interface RequirePermissionOptions {
  /** Who is asking; usually `rbac.context((ctx) => …)`. */
  context: KoaContext
  /**
   * The row that the request is about, looked for in `context.tenantId`: a row of another tenant must not be found. Null
   * or undefined answers 404.
   */
  row?: (ctx: Context, context: RequestContext) => Row | Promise<Row>
  /** Other origins whose pages may use a cookie session. */
  trustedOrigins?: readonly string[]
}

/**
 * Lets a request pass to a route of the host's own if the caller has the permission: 401 without an identity, 403
 * naming the action and the resource otherwise. Handlers behind it read the context with `contextOf(ctx)` from '@org/rbac'.
 *
 * @throws ProblemError `setup_error` at once for a resource or an action that the catalog does not know.
 */
export function requirePermission<R extends Resources, Resource extends ResourceOf<R>>(
  rbac: Rbac<R>,
  resource: Resource,
  action: ActionOf<R, Resource>,
  { row, ...options }: RequirePermissionOptions,
): Middleware {
  const check = permissionGuard(rbac.catalog, resource, action)
  return koaGuard({ ...options, logger: rbac.http.runtime.logger }, (context, ctx) =>
    check(context, row && (() => row(ctx, context))),
  )
}
