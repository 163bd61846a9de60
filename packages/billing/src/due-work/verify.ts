/** `verify`: whether the books agree with themselves. Changes nothing. */
import { total } from '../arithmetic/rational.js'
import type { Deps } from '../deps.js'
import { invoiceSequence } from '../invoices/issue.js'
import type { Invoice } from '../invoices/schema.js'
import type { CounterKey } from '../usage/schema.js'
import type { CounterMismatch } from '../usage/store.js'

export interface Verification {
  /** Nothing below is wrong. */
  ok: boolean
  /** Counters whose sum is not that of their events. */
  counters: { checked: number; wrong: CounterMismatch[] }
  /** Ids of invoices whose lines do not sum to their totals. */
  invoices: { checked: number; wrong: string[] }
  /** The last invoice number given, and how many invoices hold one: the same, unless numbers are missing. */
  numbers: { last: number; numbered: number }
}

const pageSize = 500

/** Reads every counter and invoice, page by page. Run it while little is going on, or count a difference twice. */
export async function verify({ storage }: Pick<Deps, 'storage'>): Promise<Verification> {
  const counters: Verification['counters'] = { checked: 0, wrong: [] }
  const recount = (after: CounterKey | null) => storage.read((stores) => stores.usage.recount(after, pageSize))
  for (let page = await recount(null); ; page = await recount(page.next)) {
    counters.checked += page.checked
    counters.wrong.push(...page.wrong)
    if (page.next === null) break
  }
  const invoices: Verification['invoices'] = { checked: 0, wrong: [] }
  const scan = (after: [string] | null) => storage.read((stores) => stores.invoices.scan({ limit: pageSize, after }))
  for (let rows = await scan(null); rows.length > 0; rows = await scan([rows.at(-1)?.id ?? ''])) {
    invoices.checked += rows.length
    invoices.wrong.push(...rows.filter((invoice) => !reconciles(invoice)).map((invoice) => invoice.id))
  }
  const numbers = await storage.read((stores) => stores.invoices.numbering(invoiceSequence))
  const ok = counters.wrong.length === 0 && invoices.wrong.length === 0 && numbers.last === numbers.numbered
  return { ok, counters, invoices, numbers }
}

function reconciles(invoice: Invoice): boolean {
  const { lines, amountDue, amountPaid, balanceApplied, status } = invoice
  const paid = status !== 'paid' || amountPaid === amountDue
  return (
    paid && invoice.total === total(lines.map((line) => line.amount)) && invoice.total === balanceApplied + amountDue
  )
}
