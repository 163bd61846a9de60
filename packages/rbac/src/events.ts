/** What this module tells its `events`: types and their `data`. */
import { z } from 'zod'

const tenant = z.object({ tenantId: z.string(), name: z.string().nullable() })
const member = z.object({ userId: z.string() })
const assignment = z.object({ assignmentId: z.string(), userId: z.string(), role: z.string() })

const examples = {
  tenant: [{ tenantId: 'acme', name: 'Acme Inc.' }],
  member: [{ userId: 'olga' }],
  assignment: [{ assignmentId: 'asg_01kg2m3n4p5q6r7s8t9v', userId: 'olga', role: 'developer' }],
}

/** Spread it into the event types of @org/webhooks to publish them. */
export const rbacEvents = {
  'tenant.created': tenant.meta({ description: 'A tenant got its team', examples: examples.tenant }),
  'tenant.updated': tenant.meta({ description: 'A tenant was renamed', examples: examples.tenant }),

  'member.added': member.meta({ description: 'A user became a member', examples: examples.member }),
  'member.suspended': member.meta({ description: 'A member lost all rights for now', examples: examples.member }),
  'member.reactivated': member.meta({ description: 'A member got the rights back', examples: examples.member }),
  'member.removed': member.meta({ description: 'A user was taken off the team', examples: examples.member }),
  'member.left': member.meta({ description: 'A user left the team', examples: examples.member }),
  'ownership.transferred': z.object({ from: z.string(), to: z.string() }).meta({
    description: 'An owner made another member one instead of themselves',
    examples: [{ from: 'olga', to: 'otto' }],
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
}
