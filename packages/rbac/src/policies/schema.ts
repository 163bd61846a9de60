/** A tenant's own roles as one document with versions. */
import { Actor, ExternalId, PageQuery, Text, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { Explanation, ToldRow } from '../permissions/schema.js'
import { Role, RoleDefinition, RoleKey } from '../roles/schema.js'

const Fields = z.array(z.string().min(1).max(128)).min(1).max(100)

/** What the roles of a document must allow or deny; it travels with them, and publishing is refused if it fails. */
export const PolicyTest = z.strictObject({
  name: Text.min(1).max(200),
  /** The roles that somebody has, by key: the document's own or the host's. */
  roles: z.array(z.string().max(64)).min(1).max(20),
  /** What is tried: `posts:update`. */
  permission: z.string().min(3).max(130),
  row: ToldRow.optional(),
  fields: Fields.optional(),
  /** Whom the variable `userId` in conditions stands for; `somebody` unless told. */
  userId: ExternalId.optional(),
  expect: z.enum(['allow', 'deny']),
})
export type PolicyTest = z.infer<typeof PolicyTest>

/** The most roles that a document has. */
const maxRoles = 200
const maxTests = 200

/** `z.record` leaves `__proto__` out without a word. */
function refuseProto(input: unknown, context: z.core.$RefinementCtx): void {
  if (typeof input !== 'object' || input === null || !Object.hasOwn(input, '__proto__')) return
  context.addIssue({ code: 'custom', path: ['__proto__'], message: '"__proto__" cannot be the key of a role' })
}

const RoleDefinitionsByKey = z
  .preprocess(
    (input: Record<string, z.input<typeof RoleDefinition>>, context) => {
      refuseProto(input, context)
      return input
    },
    z.record(RoleKey, RoleDefinition, {
      error: ({ code, issues }) => (code === 'invalid_key' ? issues?.[0]?.message : undefined),
    }),
  )
  .refine((roles) => Object.keys(roles).length <= maxRoles, `must hold at most ${maxRoles} roles`)

/** All roles that a tenant has beside the host's, by key, and the tests that they must pass. */
export const PolicyDocument = z.strictObject({
  roles: RoleDefinitionsByKey,
  tests: z.array(PolicyTest).max(maxTests).optional(),
})
export type PolicyDocument = z.input<typeof PolicyDocument>

/** How a version came about: a draft was published, one role was changed, an old version was brought back, or the tenant was deleted. */
export const PolicyKind = z.enum(['publish', 'role', 'rollback', 'reset'])
export type PolicyKind = z.infer<typeof PolicyKind>

/** What is known of a version beside the document itself. */
export const PolicySummary = z.object({
  tenantId: z.string(),
  /** 1, 2, 3, … Versions are never changed; the highest one counts. */
  version: z.number().int(),
  kind: PolicyKind,
  /** The version that it was made from: the one before, or the one that was brought back; 0 for none. */
  basedOn: z.number().int(),
  note: z.string().nullable(),
  author: Actor,
  createdAt: Time,
})
export type PolicySummary = z.infer<typeof PolicySummary>

/** One version as it is kept. */
export const Policy = PolicySummary.extend({ roles: z.array(Role), tests: z.array(PolicyTest) })
export type Policy = z.infer<typeof Policy>

/** One version as it is shown: with a document that can be edited and drafted again. */
export interface PolicyVersion extends PolicySummary {
  document: PolicyDocument
}

/** The next version of a tenant's policy, while it is being written. A tenant has one. */
export interface PolicyDraft {
  tenantId: string
  document: PolicyDocument
  /** The version that was published when it was begun. */
  basedOn: number
  /** Changes with the document; `publish` wants it back, so that nobody publishes what they have not seen. */
  etag: string
  /** Whoever saved it last. */
  author: Actor
  updatedAt: number
}

const DocumentView = z
  .object({ roles: z.record(z.string(), RoleDefinition), tests: z.array(PolicyTest).optional() })
  .meta({ id: 'RbacPolicyDocument' })

export const PolicySummaryView = PolicySummary.omit({ tenantId: true })
  .extend({ createdAt: TimeView })
  .meta({ id: 'RbacPolicySummary' })

export const PolicyVersionView = PolicySummary.omit({ tenantId: true })
  .extend({ createdAt: TimeView, document: DocumentView })
  .meta({ id: 'RbacPolicy' })

export const PolicyDraftView = z
  .object({
    document: DocumentView,
    basedOn: z.number().int(),
    etag: z.string().describe('For the header `If-Match`.'),
    stale: z.boolean().describe('Whether another version was published since; it cannot be published then.'),
    author: Actor,
    updatedAt: TimeView,
  })
  .meta({ id: 'RbacPolicyDraft' })

export const PolicyQuery = PageQuery
export type PolicyQuery = z.input<typeof PolicyQuery>

const Version = z.number().int().min(1).max(999_999_999)
const ETag = z.string().min(1).max(128)
const Note = Text.min(1).max(1000)

export const SaveDraft = z.strictObject({
  /** The etag of the draft that this one takes the place of; without it, of whichever is there. */
  ifMatch: ETag.optional(),
  /**
   * The version that the document was made from. Unless told, that of the draft that is there, or else the version that
   * is published now.
   */
  basedOn: z.number().int().min(0).max(999_999_999).optional(),
})
export type SaveDraft = z.input<typeof SaveDraft>

export const PublishPolicy = z.strictObject({ ifMatch: ETag, note: Note.optional() })
export type PublishPolicy = z.input<typeof PublishPolicy>

export const RollbackPolicy = z.strictObject({ version: Version, note: Note.optional() })
export type RollbackPolicy = z.input<typeof RollbackPolicy>

/** Which of a tenant's policies is meant; the published one unless told. */
const which = {
  version: Version.optional(),
  draft: z.literal(true).optional(),
  document: PolicyDocument.optional(),
}
const atMostOne = (given: { version?: unknown; draft?: unknown; document?: unknown }) =>
  [given.version, given.draft, given.document].filter((one) => one !== undefined).length <= 1
const oneOnly = 'name one of `version`, `draft` and `document`'

export const WhichPolicy = z.strictObject(which).refine(atMostOne, oneOnly)
export type WhichPolicy = z.input<typeof WhichPolicy>

/** What somebody could do if a policy were in force: a member, or anybody with these roles. */
export const Simulate = z
  .strictObject({
    ...which,
    userId: ExternalId.optional(),
    roles: PolicyTest.shape.roles.optional(),
    resource: z.string().min(1).max(64),
    action: z.string().min(1).max(64),
    row: ToldRow.optional(),
    fields: Fields.optional(),
  })
  .refine(atMostOne, oneOnly)
  .refine(({ userId, roles }) => userId !== undefined || roles !== undefined, 'name a member or roles')
export type Simulate = z.infer<typeof Simulate>

export const PolicyTestReport = z
  .object({
    passed: z.number().int(),
    failed: z.number().int(),
    results: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        expected: PolicyTest.shape.expect,
        got: PolicyTest.shape.expect,
        explanation: Explanation,
      }),
    ),
  })
  .meta({ id: 'RbacPolicyTestReport' })
export type PolicyTestReport = z.infer<typeof PolicyTestReport>

/** What is compared: a version (0 is no policy at all), the published one or the draft. */
const Side = z.union([z.literal(['published', 'draft']), Version, z.literal(0)])

export const DiffPolicies = z.strictObject({ from: Side.optional(), to: Side.optional() })
export type DiffPolicies = z.input<typeof DiffPolicies>

const SideParam = z
  .string()
  .regex(/^(?:published|draft|0|[1-9]\d{0,8})$/, 'must be a version, `published` or `draft`')
  .transform((side) => (side === 'published' || side === 'draft' ? side : Number(side)))

/** The same in a query string. */
export const DiffParams = z.strictObject({ from: SideParam.optional(), to: SideParam.optional() })

export const PolicyDiff = z
  .object({
    text: z.string().describe('What changes, as a unified diff with one file for each role.'),
    roles: z.array(z.object({ key: z.string(), change: z.enum(['added', 'removed', 'changed']) })),
    members: z
      .array(
        z.object({
          userId: z.string(),
          gains: z.array(z.string()).describe('`posts:read`, or `posts:update when {…}` over some rows.'),
          loses: z.array(z.string()),
        }),
      )
      .describe('Who gains and loses what, by userId. Suspended members hold nothing either way.'),
    total: z.number().int().describe('How many members gain or lose anything.'),
    truncated: z.boolean().describe('Whether there are more of them than are listed.'),
  })
  .meta({ id: 'RbacPolicyDiff' })
export type PolicyDiff = z.infer<typeof PolicyDiff>

const VersionParam = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'must be the number of a version')
  .transform(Number)

export const PolicyParams = z.object({ version: VersionParam })
export const DraftParams = z.strictObject({
  basedOn: z
    .string()
    .regex(/^(?:0|[1-9]\d{0,8})$/, 'must be the number of a version')
    .transform(Number)
    .optional(),
})
export const NoteBody = z.strictObject({ note: Note.optional() })
