/** What a quantity costs under a price model. */
import { parse } from '@org/core'
import { z } from 'zod'
import { scale, total } from './rational.js'

const Amount = z.int().min(0)

const Tier = z.strictObject({
  /** The last unit of the tier; null for the rest. */
  upTo: z.int().min(1).nullable(),
  unitAmount: Amount.default(0),
  /** How many units `unitAmount` pays for: `{ unitAmount: 50, per: 1000 }` is 50 for each 1,000, exactly. */
  per: z.int().min(1).default(1),
  /** Once, when the quantity reaches the tier. */
  flatAmount: Amount.default(0),
})
type Tier = z.output<typeof Tier>

const Tiers = z
  .array(Tier)
  .min(1)
  .superRefine((tiers, issues) => {
    for (const [index, { upTo }] of tiers.entries()) {
      const last = index === tiers.length - 1
      const before = tiers[index - 1]?.upTo ?? 0
      const message = last
        ? upTo !== null && 'the last tier must have `upTo: null`, so that every quantity has a price'
        : (upTo === null && 'only the last tier may have `upTo: null`') ||
          (upTo !== null && upTo <= before && `must be more than ${before}, where the tier before it ends`)
      if (message) issues.addIssue({ code: 'custom', path: [index, 'upTo'], message })
    }
  })

/**
 * How a quantity is priced; amounts are minor units of the catalog's currency.
 *
 * - `flat`: `amount`, whatever the quantity.
 * - `per_unit`: `unitAmount` for each `per` units, rounded half away from zero once.
 * - `package`: `amount` for each begun package of `size` units.
 * - `graduated`: each unit at the price of the tier it falls into.
 * - `volume`: all units at the price of the tier that the whole quantity falls into.
 */
export const UsagePrice = z.discriminatedUnion('model', [
  z.strictObject({ model: z.literal('flat'), amount: Amount }),
  z.strictObject({ model: z.literal('per_unit'), unitAmount: Amount, per: z.int().min(1).default(1) }),
  z.strictObject({ model: z.literal('package'), amount: Amount, size: z.int().min(1) }),
  z.strictObject({ model: z.literal('graduated'), tiers: Tiers }),
  z.strictObject({ model: z.literal('volume'), tiers: Tiers }),
])
export type UsagePrice = z.input<typeof UsagePrice>

/** A part of a price: `quantity` units at `unitAmount` for each `per`, and `flatAmount` once. */
export const PricedLine = z.object({
  quantity: z.int(),
  unitAmount: z.int(),
  per: z.int(),
  flatAmount: z.int(),
  amount: z.int(),
})
export type PricedLine = z.infer<typeof PricedLine>

const Quantity = z.int().min(0)

/**
 * Prices `quantity` units in integers. Each line is rounded by itself and `amount` is their exact sum. Nothing costs
 * nothing, except under `flat`.
 *
 * @throws ProblemError `invalid_input` for a price or quantity that is not valid, or an amount beyond 2⁵³ − 1.
 */
export function priceUsage(price: UsagePrice, quantity: number): { amount: number; lines: PricedLine[] } {
  const units = parse(Quantity, quantity, '/quantity')
  const lines = linesOf(parse(UsagePrice, price, '/price'), units)
  return { amount: total(lines.map((line) => line.amount)), lines }
}

function linesOf(price: z.output<typeof UsagePrice>, quantity: number): PricedLine[] {
  if (price.model === 'flat') return [line(quantity, { unitAmount: 0, per: 1, flatAmount: price.amount })]
  if (quantity === 0) return []
  switch (price.model) {
    case 'per_unit':
      return [line(quantity, { ...price, flatAmount: 0 })]
    case 'package': {
      const packages = Math.ceil(quantity / price.size)
      const amount = scale(packages, price.amount, 1)
      return [{ quantity, unitAmount: price.amount, per: price.size, flatAmount: 0, amount }]
    }
    case 'graduated':
      return graduated(price.tiers, quantity)
    case 'volume':
      return price.tiers
        .filter((tier) => reaches(tier, quantity))
        .slice(0, 1)
        .map((tier) => line(quantity, tier))
  }
}

function graduated(tiers: Tier[], quantity: number): PricedLine[] {
  const lines: PricedLine[] = []
  let priced = 0
  for (const tier of tiers) {
    if (priced === quantity) break
    const end = tier.upTo === null ? quantity : Math.min(tier.upTo, quantity)
    lines.push(line(end - priced, tier))
    priced = end
  }
  return lines
}

function reaches(tier: Tier, quantity: number): boolean {
  return tier.upTo === null || quantity <= tier.upTo
}

function line(quantity: number, { unitAmount, per, flatAmount }: Omit<Tier, 'upTo'>): PricedLine {
  const amount = total([scale(quantity, unitAmount, per), flatAmount])
  return { quantity, unitAmount, per, flatAmount, amount }
}
