import { Actor, ExternalId } from '@org/core'
import { z } from 'zod'

/** A question about a permission; about oneself unless `userId` names somebody else. */
export const CheckPermission = z.strictObject({
  userId: ExternalId.optional(),
  resource: z.string().min(1).max(64),
  action: z.string().min(1).max(64),
})
export type CheckPermission = z.infer<typeof CheckPermission>

export const CheckResultView = z.object({ allowed: z.boolean() }).meta({ id: 'RbacCheckResult' })

/** Who the caller is to this module, and what they may do: what a front end needs to show the right buttons. */
export const MeView = z
  .object({
    tenantId: z.string(),
    actor: Actor,
    roles: z.array(z.string()).describe('The keys of the roles held in this tenant.'),
    permissions: z.array(z.string()).describe('All that the roles grant, without wildcards, sorted: `keys:read`.'),
    rules: z
      .array(z.array(z.unknown()))
      .describe("For CASL's `createMongoAbility(unpackRules(rules))`, from `@casl/ability/extra`."),
  })
  .meta({ id: 'RbacMe' })
export type Me = z.input<typeof MeView>

/** Why somebody may or may not do something. */
export interface Explanation {
  allowed: boolean
  tenantId: string
  userId: string
  resource: string
  action: string
  /** Each way that leads to a yes: the assignment, its role, and the permission in it that matches. None is a no. */
  grants: { assignmentId: string; role: string; permission: string }[]
  /** All roles held in the tenant, whether or not they grant this. */
  roles: string[]
}
