import { ExternalId, PageQuery, Time, TimeView } from '@org/core'
import { z } from 'zod'

/** A member has a role in a tenant. A member may have many, each once. */
export const Assignment = z.object({
  id: z.string(),
  tenantId: z.string(),
  userId: z.string(),
  /** The role's key. */
  role: z.string(),
  createdAt: Time,
})
export type Assignment = z.infer<typeof Assignment>

/** As it leaves: over HTTP and in events. */
export const AssignmentView = Assignment.omit({ tenantId: true })
  .extend({ createdAt: TimeView })
  .meta({ id: 'RbacAssignment' })

/** As roles that are no longer defined may have been called; MySQL would take `owner ` for `owner`. */
const RoleKey = ExternalId.max(64)

/** Whom, and which role. */
export const AssignRole = z.strictObject({ userId: ExternalId, role: RoleKey })
export type AssignRole = z.input<typeof AssignRole>

export const AssignmentQuery = PageQuery.extend({
  userId: ExternalId.optional(),
  role: RoleKey.optional(),
})
export type AssignmentQuery = z.input<typeof AssignmentQuery>
