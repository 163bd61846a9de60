/** Exact fractions of integers: money is never a floating-point number, not even on the way. */
import { coreErrors } from '@org/core'

/** `value × numerator / denominator`, rounded half away from zero. `denominator` is positive. */
export function scale(value: number, numerator: number, denominator: number): number {
  const product = BigInt(value) * BigInt(numerator)
  const divisor = BigInt(denominator)
  const size = product < 0n ? -product : product
  const rounded = (2n * size + divisor) / (2n * divisor)
  return safe(product < 0n ? -rounded : rounded)
}

/** The sum, or an error instead of a number that has lost its last digits. */
export function total(amounts: readonly number[]): number {
  return safe(amounts.reduce((sum, amount) => sum + BigInt(amount), 0n))
}

function safe(value: bigint): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw coreErrors.invalid_input({ detail: `${value} minor units are more than can be billed exactly.` })
}
