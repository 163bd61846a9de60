import { ExternalId, Text } from '@org/core'
import { z } from 'zod'
import type { Permission } from '../permissions/permission.js'
import { isName, type Resources } from '../permissions/resources.js'
import { Rule } from '../permissions/rule.js'

/** What is said about a role, by the host in its code or by a tenant in its policy. */
export const RoleDefinition = z.strictObject({
  /** For people; the role's key unless told. */
  name: Text.min(1).max(100).optional(),
  description: Text.max(500).optional(),
  /** The keys of the roles whose rules this one has as well. */
  inherits: z.array(z.string().max(64)).max(20).readonly().optional(),
  /** What it grants on every row: `keys:read`, `keys:*`, `*:read`, `*`. */
  permissions: z.array(z.string().max(130)).max(500).readonly().optional(),
  /** Denies, and rights over some rows or fields only. */
  rules: z.array(Rule).max(500).readonly().optional(),
})

/** What a role grants, with permissions that the compiler checks. */
interface Grants<P extends string> {
  permissions?: readonly P[] | undefined
  rules?: readonly (Omit<z.input<typeof Rule>, 'permission'> & { permission: P })[] | undefined
}

/** The same, with permissions checked against the catalog by the compiler. */
export type RoleDefinition<R extends Resources> = Omit<z.input<typeof RoleDefinition>, keyof Grants<string>> &
  Grants<Permission<R>>

/** The key of a role that a tenant makes. Names that every object has anyway are nobody's. */
export const RoleKey = z
  .string()
  .refine((key) => isName(key) && !(key in Object.prototype) && key !== 'prototype', {
    error: ({ input }) =>
      `"${String(input).slice(0, 80)}" cannot be the key of a role: write a letter and then at most 63 letters, digits, "_" or "-"`,
  })
  .meta({ description: 'A letter, then at most 63 letters, digits, `_` or `-`; it never changes.' })

export const CreateRole = RoleDefinition.extend({ key: RoleKey })
export type CreateRole<P extends string = string> = Omit<z.input<typeof CreateRole>, keyof Grants<P>> & Grants<P>

/** What is left out stays; a description of null is taken away. */
export const UpdateRole = RoleDefinition.extend({
  description: RoleDefinition.shape.description.unwrap().nullable().optional(),
})
export type UpdateRole<P extends string = string> = Omit<z.input<typeof UpdateRole>, keyof Grants<P>> & Grants<P>

export const RoleParams = z.object({ key: ExternalId.max(64) })

export type RoleDefinitions<R extends Resources> = Readonly<Record<string, RoleDefinition<R>>>

/** What assignments give. */
export const Role = z.object({
  /**
   * What assignments hold on to: the key for a role of the host's, and for one of the tenant's an id that is never used
   * again, so that a role that is made anew does not come with the members of the one before.
   */
  id: z.string(),
  /** What people and code call it: `owner`, `read_only`. It never changes. */
  key: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  /** Whether the tenant made it; the host's own are in its code. */
  custom: z.boolean(),
  inherits: z.array(z.string()),
  /** As defined, wildcards and all: `keys:*`. */
  permissions: z.array(z.string()),
  rules: z.array(Rule),
})
export type Role = z.infer<typeof Role>

/** As it leaves over HTTP. */
export const RoleView = Role.omit({ id: true }).meta({ id: 'RbacRole' })
