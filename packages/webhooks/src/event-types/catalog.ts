/** The event types that a host publishes: names and the Zod schemas of their data. */
import { coreErrors } from '@org/core'
import type { z } from 'zod'

/**
 * Event types by name. The schema says what `data` holds; its `.meta({ description, examples })` is what subscribers
 * see in `GET /event-types`.
 */
export type EventTypes = Readonly<Record<string, z.ZodType>>

/** What a receiver gets, told apart by `type`: `verifyWebhook<WebhookEvent<typeof eventTypes>>(…)`. */
export type WebhookEvent<Types extends EventTypes> = {
  [Type in keyof Types & string]: { type: Type; timestamp: string; data: z.output<Types[Type]> }
}[keyof Types & string]

const namePattern = /^[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*$/
const maxName = 128

/**
 * Declares event types, so that `publish` is typed by them:
 *
 * ```ts
 * const eventTypes = defineEventTypes({ ...defaultEventTypes, 'order.paid': z.object({ orderId: z.string() }) })
 * ```
 *
 * @throws ProblemError `setup_error` for a name that is not words of letters, digits and underscores joined by dots.
 */
export function defineEventTypes<const Types extends EventTypes>(types: Types): Types {
  for (const name of Object.keys(types)) {
    if (namePattern.test(name) && name.length <= maxName) continue
    throw coreErrors.setup_error({
      detail: `The event type "${name}" must be words of letters, digits and underscores joined by dots.`,
    })
  }
  return types
}

/** The type of the message that `sendTest` publishes unless told otherwise. It is no part of any catalogue. */
export const testEventType = 'webhook.test'

/** The type of the message that asks an endpoint whether it is wanted. It is no part of any catalogue. */
export const challengeType = 'webhook.challenge'

/** Whether a subscription covers a type: null covers all, `key.*` all that start with `key.`, and `*` all. */
export function subscribesTo(patterns: readonly string[] | null, type: string): boolean {
  return patterns === null || patterns.some((pattern) => matchesPattern(pattern, type))
}

function matchesPattern(pattern: string, type: string): boolean {
  if (pattern === '*' || pattern === type) return true
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))
}
