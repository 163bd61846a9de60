/** What the entry points of both frameworks share. */
import { type About, allows, coreErrors, forbidden, type HttpModule, isProblem, type RequestContext } from '@org/core'
import type { Catalog } from './permissions/catalog.js'
import { matchesPermission } from './permissions/permission.js'
import type { RoleBook } from './roles/book.js'

export type Row = object | null | undefined

/** What a guard can find out about a request. */
export interface Loaders {
  row?: (() => Row | Promise<Row>) | undefined
  fields?: (() => readonly string[] | Promise<readonly string[]>) | undefined
}

/** Checks a caller's ability, and then the row and the fields if there are any to look at. */
export type PermissionGuard = (caller: Pick<RequestContext, 'ability'>, load?: Loaders) => void | Promise<void>

/** Which loaders a guard was given. */
export type Given = Record<keyof Loaders, boolean>

/**
 * @throws ProblemError `setup_error` if the catalog does not know the resource or the action, or if a role of the host's
 *   has this right over some rows or some fields only and the guard cannot know which.
 */
export function permissionGuard(
  catalog: Catalog,
  roles: RoleBook,
  resource: string,
  action: string,
  given: Given,
): PermissionGuard {
  const where = `requirePermission("${resource}", "${action}")`
  try {
    catalog.check(resource, action)
  } catch (error) {
    const detail = isProblem(error) ? error.errors?.map((field) => field.detail).join('; ') : undefined
    throw coreErrors.setup_error({ detail: `${where}: ${detail}.` })
  }
  const blind = blindTo(roles, resource, action, given)
  if (blind) throw coreErrors.setup_error({ detail: `${where}: ${blind}` })

  return (caller, load) => {
    if (load?.row || load?.fields) return checkLoaded(caller, load)
    if (!allows(caller.ability, action, resource)) throw forbidden(action, resource)
  }

  async function checkLoaded(
    { ability }: Pick<RequestContext, 'ability'>,
    { row: loadRow, fields: loadFields }: Loaders,
  ) {
    // Whoever may do this to no row at all is refused without a look at the database.
    if (ability.can(action, resource) !== true) throw forbidden(action, resource)
    const about: About = {}
    if (loadFields) about.fields = await loadFields()
    if (loadRow) {
      const row = await loadRow()
      if (row === null || row === undefined) throw coreErrors.not_found()
      // An empty list of rows is not a row that was found.
      if (typeof row !== 'object' || Array.isArray(row)) {
        throw coreErrors.setup_error({ detail: '`row` must answer one row, or null if there is none.' })
      }
      about.row = row
    }
    if (!allows(ability, action, resource, about)) throw forbidden(action, resource)
  }
}

/** What a guard would have to be given for the rules that the host's roles have. */
function blindTo(roles: RoleBook, resource: string, action: string, given: Given): string | null {
  for (const role of roles.all()) {
    for (const { permission, when, fields } of roles.resolve(role)) {
      if (!matchesPermission(permission, resource, action)) continue
      const over = `the role "${role.key}" has "${permission}" over some`
      if (when && !given.row) return `${over} rows only; pass \`row\`, so that the guard knows which one it is about.`
      if (fields && !given.fields)
        return `${over} fields only; pass \`fields\`, so that the guard knows which are meant.`
    }
  }
  return null
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
