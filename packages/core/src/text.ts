import { z } from 'zod'

/**
 * Text that every database gives back as it was: without U+0000, which PostgreSQL refuses, and without half a surrogate
 * pair, which would come back as another character. Narrow it with `.min()` and `.max()`.
 */
export const Text = z.string().regex(/^[^\0\p{Cs}]*$/u, 'must not hold a NUL or half a surrogate pair')
