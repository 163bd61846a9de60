import { z } from 'zod'
import { parse } from './errors.js'

/**
 * Text that every database gives back as it was: without U+0000, which PostgreSQL refuses, and without half a surrogate
 * pair, which would come back as another character. Narrow it with `.min()` and `.max()`.
 */
export const Text = z.string().regex(/^[^\0\p{Cs}]*$/u, 'must not hold a NUL or half a surrogate pair')

/** An id of ours, in a path or a filter. */
export const Id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w-]+$/, 'must be letters, digits, _ and -')

/** What a service calls on the id that it is given. @throws ProblemError `invalid_input`. */
export function checkId(id: string): string {
  return parse(Id, id, '/id')
}

/** The path of a route about one thing. */
export const IdParams = z.object({ id: Id })
