/** What stands on an invoice, and what it sums to. Pure. */
import { priceUsage } from '../arithmetic/price-usage.js'
import { prorate } from '../arithmetic/prorate.js'
import { total } from '../arithmetic/rational.js'
import type { Catalog } from '../catalog/define.js'
import type { Interval, Plan } from '../catalog/schema.js'
import type { Invoice, InvoiceLine } from './schema.js'

interface Period {
  start: number
  end: number
}

/** A whole period of a plan, billed in advance. */
export function planLine(plan: Plan, interval: Interval, amount: number, period: Period): InvoiceLine {
  return { ...blank(plan, period), kind: 'plan', description: `${plan.name}, one ${interval}`, amount }
}

/** The unused rest of a plan, given back: never more than `billed`, what was billed for it. */
export function creditLine(plan: Plan, amount: number, billed: number, period: Period, from: number): InvoiceLine {
  const unused = prorate({ amount, ...period, from })
  const description = `Unused time on ${plan.name}`
  // `0 -` and not `-`: there is no negative zero on an invoice.
  const credit = 0 - Math.min(unused, billed)
  return { ...blank(plan, { start: from, end: period.end }), kind: 'proration_credit', description, amount: credit }
}

/** The rest of the period on another plan. */
export function restLine(plan: Plan, amount: number, period: Period, from: number): InvoiceLine {
  const description = `Remaining time on ${plan.name}`
  const rest = prorate({ amount, ...period, from })
  return { ...blank(plan, { start: from, end: period.end }), kind: 'proration_charge', description, amount: rest }
}

/** What was used beyond what the plan includes, one line for each meter that costs something. */
export function usageLines(
  catalog: Catalog,
  plan: Plan,
  interval: Interval,
  used: ReadonlyMap<string, number>,
  period: Period,
): InvoiceLine[] {
  const lines: InvoiceLine[] = []
  for (const [meter, terms] of Object.entries(plan.meters)) {
    const included = terms.included[interval]
    const quantity = beyond(included, used.get(meter) ?? 0)
    if (quantity === 0 || terms.price === null) continue
    const { amount, lines: pricing } = priceUsage(terms.price, quantity)
    const description = `${catalog.meters[meter]?.name ?? meter} beyond the ${included} included`
    lines.push({ ...blank(plan, period), kind: 'usage', description, meter, quantity, amount, pricing })
  }
  return lines
}

/** Units beyond what is included. */
export function beyond(included: number | null, used: number): number {
  return included === null ? 0 : Math.max(0, used - included)
}

/** The meters whose overage is billed; when a period runs its course, only their windows need to be closed. */
export function billedMeters(plan: Plan): string[] {
  return Object.entries(plan.meters)
    .filter(([, terms]) => terms.price !== null)
    .map(([meter]) => meter)
}

function blank(plan: Plan, { start, end }: Period) {
  return { plan: plan.id, meter: null, quantity: 1, pricing: [], periodStart: start, periodEnd: end }
}

/** Totals of lines against a balance: `total = balanceApplied + amountDue`. What is left of a credit goes on the balance. */
export function totals(
  lines: readonly InvoiceLine[],
  balance: number,
): Pick<Invoice, 'total' | 'balanceApplied' | 'amountDue'> {
  const sum = total(lines.map((line) => line.amount))
  const balanceApplied = Math.min(sum, balance)
  return { total: sum, balanceApplied, amountDue: sum - balanceApplied }
}
