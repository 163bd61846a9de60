/** @org/rbac on Koa 2 and 3. */
import type Router from '@koa/router'
import type { RequestContext, RouterOptions } from '@org/core'
import { type KoaGuardOptions, koaGuard, koaRouter } from '@org/core/koa'
import type { Context, Middleware } from 'koa'
import { permissionGuard, type Row, warnOfClosedRoutes } from './guard.js'
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
