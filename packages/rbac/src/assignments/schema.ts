import { ExternalId, PageQuery, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'

/** One thing of one resource: `{ resource: 'projects', id: 'prj_1' }`. */
export const Instance = z.strictObject({ resource: z.string().min(1).max(64), id: ExternalId })
export type Instance = z.infer<typeof Instance>

/** A member has a role in a tenant, there as a whole or on one thing. A member may have many. */
export const Assignment = z.object({
  id: z.string(),
  tenantId: z.string(),
  userId: z.string(),
  /** The role's key. */
  role: z.string(),
  /** Which role of that key; see `Role`. */
  roleId: z.string(),
  /** The only thing that the role's rules for its resource are about; null for the tenant as a whole. */
  on: Instance.nullable(),
  /** When it stops to count; null for never. */
  expiresAt: Time.nullable(),
  createdAt: Time,
})
export type Assignment = z.infer<typeof Assignment>

/** As it leaves: over HTTP and in events. */
export const AssignmentView = Assignment.omit({ tenantId: true, roleId: true })
  .extend({ expiresAt: TimeView.nullable(), createdAt: TimeView })
  .meta({ id: 'RbacAssignment' })

/** As roles that are no longer defined may have been called; MySQL would take `owner ` for `owner`. */
const RoleKey = ExternalId.max(64)

/** Integer keys are as good as text. */
const InstanceInput = Instance.extend({ id: z.union([ExternalId, z.int().transform(String)]) })

const target = { userId: ExternalId, role: RoleKey }

/** Whom, which role, and over what. */
export const AssignRole = z.strictObject({
  ...target,
  on: InstanceInput.optional(),
  /** Epoch milliseconds. */
  expiresAt: Time.optional(),
})
export type AssignRole = z.input<typeof AssignRole>

/** The same over HTTP, with its time as RFC 3339 text. */
export const AssignRoleBody = AssignRole.extend({ expiresAt: TimeParam.optional() })

export const UnassignRole = z.strictObject({ ...target, on: InstanceInput.optional() })
export type UnassignRole = z.input<typeof UnassignRole>

/** The same in a query string. */
export const UnassignParams = z
  .strictObject({
    ...target,
    resource: Instance.shape.resource.optional(),
    resourceId: Instance.shape.id.optional(),
  })
  .refine(({ resource, resourceId }) => (resource === undefined) === (resourceId === undefined), {
    error: 'send `resource` and `resourceId` together',
    path: ['resourceId'],
  })
  .transform(({ resource, resourceId, ...input }) =>
    resource === undefined || resourceId === undefined ? input : { ...input, on: { resource, id: resourceId } },
  )

export const AssignmentQuery = PageQuery.extend({
  userId: ExternalId.optional(),
  role: RoleKey.optional(),
})
export type AssignmentQuery = z.input<typeof AssignmentQuery>
