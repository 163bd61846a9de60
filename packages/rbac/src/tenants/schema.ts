import { ExternalId, Text, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { MemberStatus } from '../members/schema.js'

/** A customer of the host's, as far as its team is concerned. */
export const Tenant = z.object({
  /** The host's own id. */
  id: z.string(),
  /** For people; null if it was given none. */
  name: z.string().nullable(),
  /** Null if it came to be by a first assignment. */
  createdAt: Time.nullable(),
})
export type Tenant = z.infer<typeof Tenant>

export const TenantView = z
  .object({ tenantId: z.string(), name: z.string().nullable(), createdAt: TimeView.nullable() })
  .meta({ id: 'RbacTenant' })

const Name = Text.min(1).max(200)

export const CreateTenant = z.strictObject({
  /** The user who is its first owner. */
  ownerId: ExternalId,
  name: Name.optional(),
})
export type CreateTenant = z.input<typeof CreateTenant>

export const UpdateTenant = z.strictObject({ name: Name.nullable() })
export type UpdateTenant = z.input<typeof UpdateTenant>

/** A tenant that a user belongs to. */
export const Membership = z.object({
  tenantId: z.string(),
  name: z.string().nullable(),
  status: MemberStatus,
  /** The keys of the roles held there. */
  roles: z.array(z.string()),
})
export type Membership = z.infer<typeof Membership>

export const MembershipView = Membership.meta({ id: 'RbacMembership' })
