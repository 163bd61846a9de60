/** What the entry points of both frameworks share. */
import { authorize, coreErrors, forbidden, type HttpModule, isProblem, type RequestContext } from '@org/core'
import type { Catalog } from './permissions/catalog.js'
import { allowsRow } from './permissions/decide.js'

export type Row = object | null | undefined

/** Checks a context, and then the row if there is one to load. */
export type PermissionGuard = (context: RequestContext, loadRow?: () => Row | Promise<Row>) => Promise<void>

/** @throws ProblemError `setup_error` if the catalog does not know the resource or the action. */
export function permissionGuard(catalog: Catalog, resource: string, action: string): PermissionGuard {
  try {
    catalog.check(resource, action)
  } catch (error) {
    const detail = isProblem(error) ? error.errors?.map((field) => field.detail).join('; ') : undefined
    throw coreErrors.setup_error({ detail: `requirePermission("${resource}", "${action}"): ${detail}.` })
  }
  return async (context, loadRow) => {
    if (!loadRow) return authorize(context, action, resource)
    const { ability } = context
    // Whoever may do this to no row at all is refused without a look at the database.
    if (ability.can(action, resource) !== true) throw forbidden(action, resource)
    const row = await loadRow()
    if (row === null || row === undefined) throw coreErrors.not_found()
    // An empty list of rows is not a row that was found.
    if (typeof row !== 'object' || Array.isArray(row)) {
      throw coreErrors.setup_error({ detail: '`row` must answer one row, or null if there is none.' })
    }
    if (!allowsRow(ability, action, resource, row)) throw forbidden(action, resource)
  }
}

/** A host that replaces the catalog may leave out what our own routes ask for, and then nobody gets in. */
export function warnOfClosedRoutes({ catalog, http }: { catalog: Catalog; http: HttpModule }): void {
  const missing = new Set<string>()
  for (const { can } of http.routes) {
    if (typeof can !== 'string' && !catalog.has(can[1], can[0])) missing.add(`${can[1]}:${can[0]}`)
  }
  if (missing.size === 0) return
  const list = [...missing].join(', ')
  http.runtime.logger.warn(`@org/rbac: no role can open some of its routes: \`resources\` does not have ${list}.`)
}
