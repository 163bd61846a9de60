/** What one line of a role says. */
import { z } from 'zod'
import { Conditions } from './conditions/schema.js'

/** Whether a rule gives or takes. */
export const Effect = z.enum(['allow', 'deny'])
export type Effect = z.infer<typeof Effect>

/** A field of a row; `*` and `**` are CASL's own patterns. */
const Field = z.string().regex(/^[A-Za-z_*][A-Za-z0-9_.*]{0,127}$/, 'must be the name of a field')

/**
 * What plain permissions cannot say: a deny, or a right over some rows or some fields only. Denies win over allows,
 * whatever role either comes from.
 */
export const Rule = z.strictObject({
  effect: Effect,
  /** Wildcards and all: `posts:update`, `posts:*`. */
  permission: z.string().min(1).max(130),
  /** The rows that it is about; all of them unless told. */
  when: Conditions.optional(),
  /** The fields that it is about; all of them unless told. */
  fields: z.array(Field).min(1).max(100).optional(),
})
export type Rule = z.infer<typeof Rule>

/** How somebody came by a rule. */
export interface Grant {
  /** The assignment that gave the role; null for the host's own code. */
  assignmentId: string | null
  /** The key of the role that was given. */
  role: string
  /** From that role to the one that the rule stands in, by inheritance: `['lead', 'editor']`. */
  path: readonly string[]
  /** The API key through which it is held; its maker has the assignment. */
  keyId?: string
}

/** A rule as somebody holds it. */
export interface HeldRule extends Rule {
  via: Grant
  /** Epoch milliseconds; null for as long as the assignment stands. */
  expiresAt: number | null
}

/** What a rule says, for a person: `posts:update when {"authorId":{"var":"userId"}}`. */
export function describeRule({ effect, permission, when, fields }: Rule): string {
  const deny = effect === 'deny' ? 'deny ' : ''
  const only = fields ? ` fields ${fields.join(', ')}` : ''
  return `${deny}${permission}${only}${when ? ` when ${JSON.stringify(when)}` : ''}`
}
