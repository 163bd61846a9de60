/** What this module tells its `events`: types and their `data`. */
import { z } from 'zod'

const tenant = z.object({ tenantId: z.string(), name: z.string().nullable() })
const member = z.object({ userId: z.string() })
const role = z.object({
  key: z.string(),
  name: z.string(),
  policyVersion: z.number().int(),
})
const policy = z.object({ version: z.number().int(), basedOn: z.number().int(), note: z.string().nullable() })
const draft = z.object({ basedOn: z.number().int() })
const assignment = z.object({ assignmentId: z.string(), userId: z.string(), role: z.string() })

const key = z.object({ keyId: z.string(), name: z.string() })
const invite = z.object({ inviteId: z.string(), kind: z.enum(['email', 'link']) })

const examples = {
  tenant: [{ tenantId: 'acme', name: 'Acme Inc.' }],
  invite: [{ inviteId: 'inv_01kg2m3n4p5q6r7s8t9v', kind: 'email' as const }],
  key: [{ keyId: 'key_01kg2m3n4p5q6r7s8t9v', name: 'CI' }],
  member: [{ userId: 'olga' }],
  role: [{ key: 'support', name: 'Support', policyVersion: 4 }],
  policy: [{ version: 5, basedOn: 4, note: 'Support reads keys' }],
  draft: [{ basedOn: 4 }],
  assignment: [{ assignmentId: 'asg_01kg2m3n4p5q6r7s8t9v', userId: 'olga', role: 'developer' }],
}

/** Spread it into the event types of @org/webhooks to publish them. */
export const rbacEvents = {
  'tenant.created': tenant.meta({ description: 'A tenant got its team', examples: examples.tenant }),
  'tenant.updated': tenant.meta({ description: 'A tenant was renamed', examples: examples.tenant }),
  'tenant.deleted': tenant.meta({ description: 'A tenant and its team were forgotten', examples: examples.tenant }),

  'member.added': member.meta({ description: 'A user became a member', examples: examples.member }),
  'member.suspended': member.meta({ description: 'A member lost all rights for now', examples: examples.member }),
  'member.reactivated': member.meta({ description: 'A member got the rights back', examples: examples.member }),
  'member.removed': member.meta({ description: 'A user was taken off the team', examples: examples.member }),
  'member.left': member.meta({ description: 'A user left the team', examples: examples.member }),
  'ownership.transferred': z.object({ from: z.string(), to: z.string() }).meta({
    description: 'An owner made another member one instead of themselves',
    examples: [{ from: 'olga', to: 'otto' }],
  }),

  'invite.created': invite.meta({ description: 'Somebody was invited', examples: examples.invite }),
  'invite.resent': invite.meta({ description: 'An invite got a new token', examples: examples.invite }),
  'invite.revoked': invite.meta({ description: 'An invite was taken back', examples: examples.invite }),
  'invite.accepted': invite.extend({ userId: z.string() }).meta({
    description: 'A user joined by an invite',
    examples: examples.invite.map((example) => ({ ...example, userId: 'olga' })),
  }),

  'assignment.created': assignment.meta({ description: 'A member was given a role', examples: examples.assignment }),
  'assignment.updated': assignment.meta({
    description: 'The end of a role of a member changed',
    examples: examples.assignment,
  }),
  'assignment.deleted': assignment.meta({
    description: 'A role was taken from a member',
    examples: examples.assignment,
  }),

  'key.created': key.meta({ description: 'An API key was made', examples: examples.key }),
  'key.updated': key.meta({ description: 'An API key changed', examples: examples.key }),
  'key.rotated': key.meta({ description: 'An API key got a new secret', examples: examples.key }),
  'key.revoked': key.extend({ reason: z.enum(['revoked', 'member_removed', 'member_left']) }).meta({
    description: 'An API key was ended, by itself or with its maker',
    examples: examples.key.map((example) => ({ ...example, reason: 'revoked' })),
  }),
  'rate_limit.exceeded': key.extend({ limit: z.int(), retryAfter: z.int() }).meta({
    description: 'An API key was used more often than its limit allows; once for each window',
    examples: examples.key.map((example) => ({ ...example, limit: 100, retryAfter: 12 })),
  }),

  'audit.exported': z.object({ format: z.string(), filter: z.record(z.string(), z.unknown()) }).meta({
    description: 'Somebody downloaded the audit log',
    examples: [{ format: 'csv', filter: { action: 'key.*' } }],
  }),
  'audit.pruned': z.object({ fromSeq: z.int(), toSeq: z.int(), count: z.int() }).meta({
    description: 'Old entries of the audit log were removed',
    examples: [{ fromSeq: 1, toSeq: 10_000, count: 10_000 }],
  }),
  'audit.erased': z.object({ who: z.int(), what: z.int() }).meta({
    description: "A person's data was removed from the audit log",
    examples: [{ who: 12, what: 3 }],
  }),

  'role.created': role.meta({ description: 'A tenant made a role of its own', examples: examples.role }),
  'role.updated': role.meta({ description: 'A role of a tenant changed', examples: examples.role }),
  'role.deleted': role.meta({ description: 'A role of a tenant was deleted', examples: examples.role }),

  'policy.drafted': draft.meta({ description: 'The draft of a policy was saved', examples: examples.draft }),
  'policy.discarded': draft.meta({ description: 'The draft of a policy was thrown away', examples: examples.draft }),
  'policy.published': policy.meta({ description: 'A draft became the policy', examples: examples.policy }),
  'policy.rolled_back': policy.meta({
    description: 'An old version became the policy again, as a new one',
    examples: examples.policy,
  }),
}
