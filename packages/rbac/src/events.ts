/** What this module tells its `events`: types and their `data`. */
import { z } from 'zod'

const data = z.object({ assignmentId: z.string(), userId: z.string(), role: z.string() })
const examples = [{ assignmentId: 'asg_01kg2m3n4p5q6r7s8t9v', userId: 'olga', role: 'developer' }]

/** Spread it into the event types of @org/webhooks to publish them. */
export const rbacEvents = {
  'assignment.created': data.meta({ description: 'A member was given a role', examples }),
  'assignment.deleted': data.meta({ description: 'A role was taken from a member', examples }),
}
