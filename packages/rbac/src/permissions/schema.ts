import { Actor, ExternalId, PageQuery, Text } from '@org/core'
import { z } from 'zod'
import { Instance } from '../assignments/schema.js'
import { Rule } from './rule.js'

/** A row as somebody tells it: values that conditions can be asked about. */
export const ToldRow = z.record(
  z.string().max(128),
  z.union([Text.max(1000), z.number(), z.boolean(), z.null()], {
    error: 'must be text, a number, true, false or null',
  }),
)

/** What a question is about. */
const Question = z.strictObject({
  resource: z.string().min(1).max(64),
  action: z.string().min(1).max(64),
  /** The row that it is about, as its owner knows it: over HTTP the answer is only as good as the row that was sent. */
  row: ToldRow.optional(),
  fields: z.array(z.string().min(1).max(128)).min(1).max(100).optional(),
})

/** A question about a permission, and why: about oneself unless `userId` names somebody else. */
export const CheckPermission = Question.extend({ userId: ExternalId.optional() })
export type CheckPermission = z.infer<typeof CheckPermission>

export const CheckPermissions = z.strictObject({
  userId: ExternalId.optional(),
  checks: z.array(Question).min(1).max(100),
})
export type CheckPermissions = z.infer<typeof CheckPermissions>

export const CheckResultView = z.object({ allowed: z.boolean() }).meta({ id: 'RbacCheckResult' })
export const CheckResultsView = z
  .object({ allowed: z.array(z.boolean()).describe('In the order of the questions.') })
  .meta({ id: 'RbacCheckResults' })

/** Who the caller is to this module, and what they may do: what a front end needs to show the right buttons. */
export const MeView = z
  .object({
    tenantId: z.string(),
    actor: Actor,
    roles: z.array(z.string()).describe('The keys of the roles held in this tenant.'),
    permissions: z
      .array(z.string())
      .describe('All that the roles grant on every row, without wildcards, sorted: `keys:read`.'),
    rules: z
      .array(z.array(z.unknown()))
      .describe("For CASL's `createMongoAbility(unpackRules(rules))`, from `@casl/ability/extra`."),
  })
  .meta({ id: 'RbacMe' })
export type Me = z.input<typeof MeView>

/** Who may do something to the resource as a whole, a page at a time. */
export const WhoCanParams = PageQuery.extend({ resource: Question.shape.resource, action: Question.shape.action })
export type WhoCanParams = z.infer<typeof WhoCanParams>

export const WhoCanView = z.object({ userId: z.string() }).meta({ id: 'RbacWhoCan' })

/** A rule that bears on a question, and how it came to. */
const Ground = Rule.extend({
  assignmentId: z.string().nullable().describe('The assignment that gave the role; null if no member was asked about.'),
  role: z.string().describe('The key of the role that was given.'),
  keyId: z.string().optional().describe('The key whose scopes let it through.'),
  path: z.array(z.string()).describe('From that role to the one that the rule stands in, by inheritance.'),
  on: Instance.nullable(),
})
export type Ground = z.infer<typeof Ground>

/** Why somebody may or may not do something. */
export const Explanation = z.object({
  allowed: z.boolean(),
  /**
   * `granted`: a rule allows it. `denied`: a rule takes it away. `depends`: only over some rows or fields, and none were
   * told. `not_granted`: no rule that matches. `suspended`: the member is.
   */
  reason: z.enum(['granted', 'denied', 'depends', 'not_granted', 'suspended']),
  tenantId: z.string(),
  userId: z.string(),
  resource: z.string(),
  action: z.string(),
  policyVersion: z.number().int().describe("The version of the tenant's policy that was asked; 0 without one."),
  /** The rule that made the decision; null if none did. */
  decidedBy: Ground.nullable(),
  /** Each rule held that allows it, on these rows and fields. None is a no. */
  grants: z.array(Ground),
  /** Each rule held that takes it away. */
  denies: z.array(Ground),
  /** All roles held in the tenant, whether or not they grant this. */
  roles: z.array(z.string()),
  /** After a no: the keys of the roles that would have allowed it. */
  wouldAllow: z.array(z.string()),
})
export type Explanation = z.infer<typeof Explanation>

/** As it leaves over HTTP. */
export const ExplanationView = Explanation.meta({ id: 'RbacExplanation' })
