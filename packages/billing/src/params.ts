/** What routes and filters take for an id, and text that every database can keep. */
import { z } from 'zod'

/** The id of a subscription or an invoice. */
export const Id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w-]+$/, 'must be letters, digits, _ and -')

/** The path of one of them. */
export const IdParams = z.object({ id: Id })

/** PostgreSQL stores no NUL in text. */
export function storable(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^[^\0]*$/, 'must not hold a NUL character')
}
