/** Proration at millisecond precision. */
import { parse } from '@org/core'
import { z } from 'zod'
import { Instant } from './instant.js'
import { scale } from './rational.js'

const ProrateInput = z
  .strictObject({ amount: z.int(), start: Instant, end: Instant, from: Instant })
  .refine(({ start, end }) => start < end, { path: ['end'], message: 'must be after `start`' })
export type ProrateInput = z.input<typeof ProrateInput>

/**
 * What `amount`, the price of the whole period `[start, end)`, comes to for the rest of it that begins at `from`:
 * `amount × (end − from) / (end − start)`, as an exact fraction rounded half away from zero. A `from` outside of the
 * period is moved to its nearer end, so the answer lies between 0 and `amount`. The price of a part `[a, b)` is
 * `prorate(from a) − prorate(from b)`: by this rule the parts of a period always sum to its whole price.
 *
 * @throws ProblemError `invalid_input` if the period is empty or the amount is not an integer.
 */
export function prorate(input: ProrateInput): number {
  const { amount, start, end, from } = parse(ProrateInput, input)
  const at = Math.min(Math.max(from, start), end)
  return scale(amount, end - at, end - start)
}
