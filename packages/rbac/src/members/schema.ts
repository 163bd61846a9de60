import { ExternalId, PageQuery, Time, TimeView } from '@org/core'
import { z } from 'zod'

/** A suspended member keeps the roles on the books and holds nothing. */
export const MemberStatus = z.enum(['active', 'suspended'])
export type MemberStatus = z.infer<typeof MemberStatus>

/** A user who belongs to a tenant's team. */
export const Member = z.object({
  id: z.string(),
  tenantId: z.string(),
  userId: z.string(),
  status: MemberStatus,
  createdAt: Time,
})
export type Member = z.infer<typeof Member>

/** The keys of the roles held, without those that have expired. */
const roles = z.array(z.string())

export interface MemberWithRoles extends Member {
  roles: string[]
}

/** As it leaves: over HTTP and in events. */
export const MemberView = Member.omit({ tenantId: true, id: true })
  .extend({ createdAt: TimeView, roles })
  .meta({ id: 'RbacMember' })

/** Somebody who has been asked to join, by an invite to an address that is pending. */
export const InvitedMember = z.object({
  inviteId: z.string(),
  tenantId: z.string(),
  userId: z.null(),
  email: z.string(),
  status: z.literal('invited'),
  roles,
  createdAt: Time,
})
export type InvitedMember = z.infer<typeof InvitedMember>

export const InvitedMemberView = InvitedMember.omit({ tenantId: true })
  .extend({ createdAt: TimeView })
  .meta({ id: 'RbacInvitedMember' })

/** Members of every status unless told; `invited` are those with a pending invite to their address. */
export const MemberQuery = PageQuery.extend({ status: z.enum([...MemberStatus.options, 'invited']).optional() })
export type MemberQuery = z.input<typeof MemberQuery>

export const MemberParams = z.object({ userId: ExternalId })

const RoleKeys = z.array(ExternalId.max(64)).max(50)

export const AddMember = z.strictObject({ userId: ExternalId, roles: RoleKeys.optional() })
export type AddMember = z.input<typeof AddMember>

/** All that a member is to have from now on: roles that are not named are taken. */
export const SetRoles = z.strictObject({ roles: RoleKeys })
export type SetRoles = z.input<typeof SetRoles>

export const TransferOwnership = z.strictObject({
  /** The active member who becomes an owner. */
  to: ExternalId,
  /** The owner who stops being one; the caller unless told. */
  from: ExternalId.optional(),
})
export type TransferOwnership = z.input<typeof TransferOwnership>

export const RemoveMember = z.strictObject({
  /** The active member who answers for the keys from now on; without one they are revoked. */
  keysTo: ExternalId.optional(),
})
export type RemoveMember = z.input<typeof RemoveMember>
