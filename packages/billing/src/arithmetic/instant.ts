/** A point in time as the pure functions take it. */
import { z } from 'zod'

/** Epoch milliseconds or a `Date`; milliseconds come out. */
export const Instant = z
  .union([z.number(), z.date().transform((date) => date.getTime())])
  .refine((ms) => Number.isInteger(ms) && Math.abs(ms) <= 8.64e15, 'must be a Date or whole epoch milliseconds')
export type Instant = z.input<typeof Instant>
