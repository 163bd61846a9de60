import { z } from 'zod'

/** One event type as subscribers see it. */
export const EventType = z.object({
  name: z.string(),
  description: z.string().nullable(),
  /** The JSON Schema (2020-12) of a message's `data`. */
  schema: z.record(z.string(), z.unknown()),
  example: z.unknown(),
})
export type EventType = z.infer<typeof EventType>

export const EventTypeView = EventType.meta({ id: 'WebhookEventType' })
