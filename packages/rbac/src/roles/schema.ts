import { z } from 'zod'
import type { Permission } from '../permissions/permission.js'
import type { Resources } from '../permissions/resources.js'

/** What a host says about a role. There are no conditions here: a role holds or does not hold a permission. */
export const RoleDefinition = z.strictObject({
  /** For people; the role's key unless told. */
  name: z.string().min(1).max(100).optional(),
  description: z.string().max(500).optional(),
  permissions: z.array(z.string()).readonly(),
})

/** The same, with permissions checked against the catalog by the compiler. */
export type RoleDefinition<R extends Resources> = Omit<z.infer<typeof RoleDefinition>, 'permissions'> & {
  permissions: readonly Permission<R>[]
}

export type RoleDefinitions<R extends Resources> = Readonly<Record<string, RoleDefinition<R>>>

/** What assignments give. */
export const Role = z.object({
  /** What assignments name: `owner`, `read_only`. */
  key: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  /** As defined, wildcards and all: `keys:*`. */
  permissions: z.array(z.string()),
})
export type Role = z.infer<typeof Role>

/** As it leaves over HTTP. */
export const RoleView = Role.meta({ id: 'RbacRole' })
