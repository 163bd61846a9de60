/** What routes and filters take for an id. */
import { z } from 'zod'

/** The id of an endpoint, a message or a delivery. */
export const Id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w-]+$/, 'must be letters, digits, _ and -')

/** The path of one of them. */
export const IdParams = z.object({ id: Id })
