/** Invoices: read, previewed, made final, paid and taken back. */
import { checkId, checkScope, coreErrors, type Page, paginate, parse, type Scope } from '@org/core'
import { total } from '../arithmetic/rational.js'
import { lockCustomer } from '../customers/ensure.js'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import { beginPayment } from '../payments/begin.js'
import { chargingStep, collect, declinedError } from '../payments/collect.js'
import type { BillingStores } from '../storage/port.js'
import { readWindow } from '../subscriptions/apply.js'
import { decideRenewal } from '../subscriptions/decide.js'
import { mainSlot } from '../subscriptions/schema.js'
import { emitInvoice } from './events.js'
import { addToBalance, emitFinal, newInvoice, numbered } from './issue.js'
import { totals } from './lines.js'
import { CreateInvoice, type Invoice, type InvoicePreview, InvoiceQuery } from './schema.js'
import { clearPastDue } from './settle.js'

export interface Invoices {
  /** The tenant's, the newest first. */
  list(scope: Scope, query?: InvoiceQuery): Promise<Page<Invoice>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Invoice>
  /** The next invoice of the live subscription as things stand: usage so far, then the next period. Null without one. */
  preview(scope: Scope): Promise<InvoicePreview | null>
  /** A draft of the host's own, such as a set-up fee. Nothing is owed until it is finalised. */
  create(scope: Scope, input: CreateInvoice): Promise<Invoice>
  /**
   * Makes a draft final: it takes from the customer's balance and gets the next number. Numbers have no gaps, however
   * many are finalised at once.
   *
   * @throws ProblemError `invoice_not_draft`, `payment_in_progress` (409).
   */
  finalize(scope: Scope, id: string): Promise<Invoice>
  /**
   * Charges an open invoice. Paying the last one that is overdue makes the subscription active again.
   *
   * @throws ProblemError `payment_declined` (402), `invoice_not_open` (409), `payment_unavailable` (503).
   */
  pay(scope: Scope, id: string): Promise<Invoice>
  /**
   * Takes an open invoice back: it keeps its number and nothing is owed. What it took from the balance returns.
   *
   * @throws ProblemError `invoice_not_open`, `payment_in_progress` (409).
   */
  void(scope: Scope, id: string): Promise<Invoice>
}

export function createInvoices(deps: Deps): Invoices {
  const { catalog, storage, runtime } = deps

  /** The caller's invoice, locked after its subscription. */
  async function lock(stores: BillingStores, scope: Scope, id: string) {
    const { tenantId } = scope
    const found = await stores.invoices.get(tenantId, checkId(id))
    if (!found) throw coreErrors.not_found()
    const { subscriptionId } = found
    const subscription = subscriptionId === null ? null : await stores.subscriptions.lock(tenantId, subscriptionId)
    const invoice = await stores.invoices.lock(tenantId, id)
    if (!invoice) throw coreErrors.not_found()
    return { invoice, subscription }
  }

  const service: Invoices = {
    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { status, subscriptionId, ...page } = parse(InvoiceQuery, query)
      const list = (slice: { limit: number; after: [string] | null }) =>
        storage.read((stores) => stores.invoices.list(tenantId, { status, subscriptionId }, slice), tx)
      return paginate(page, ['string'], list, (row) => [row.id])
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read((stores) => stores.invoices.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      return found
    },

    async preview(scope) {
      const { tenantId, tx } = checkScope(scope)
      return storage.read(async (stores) => {
        const subscription = await stores.subscriptions.live(tenantId, mainSlot)
        if (!subscription) return null
        const balance = (await stores.customers.get(tenantId))?.balance ?? 0
        const { lines } = decideRenewal(catalog, subscription, await readWindow(stores, subscription))
        return { currency: catalog.currency, lines, ...totals(lines, balance) }
      }, tx)
    },

    async create(scope, input) {
      checkScope(scope)
      const { lines: items } = parse(CreateInvoice, input)
      const now = runtime.clock.now()
      const period = { start: now, end: now }
      const blank = { kind: 'item', plan: null, meter: null, periodStart: now, periodEnd: now } as const
      const lines = items.map((item) => ({ ...blank, ...item, pricing: [] }))
      const sum = total(lines.map((line) => line.amount))
      const sums = { total: sum, balanceApplied: Math.min(sum, 0), amountDue: Math.max(sum, 0) }
      const invoice = newInvoice(deps, scope.tenantId, { subscriptionId: null, reason: 'manual', lines, period }, sums)
      return storage.run(async (stores, tx) => {
        await lockCustomer(runtime, stores.customers, scope.tenantId)
        await stores.invoices.insert(invoice)
        await emitInvoice(deps, scope, 'created', invoice, tx)
        return invoice
      }, scope.tx)
    },

    async finalize(scope, id) {
      checkScope(scope)
      return storage.run(async (stores, tx) => {
        const { invoice } = await lock(stores, scope, id)
        if (invoice.status !== 'draft') throw billingErrors.invoice_not_draft({ detail: `It is ${invoice.status}.` })
        // A draft of a subscription becomes final by its payment.
        if (invoice.reason !== 'manual') throw billingErrors.payment_in_progress()
        const { balance } = await lockCustomer(runtime, stores.customers, scope.tenantId)
        const sums = totals(invoice.lines, balance)
        await addToBalance(deps, stores, scope.tenantId, 0 - sums.balanceApplied)
        const final = await numbered(deps, stores, { ...invoice, ...sums })
        await stores.invoices.update(final)
        await emitFinal(deps, scope, final, invoice, tx)
        return final
      }, scope.tx)
    },

    async pay(scope, id) {
      checkScope(scope)
      const declined = await chargingStep(deps, scope, async (inner) => {
        const payment = await storage.run(async (stores) => {
          const { invoice } = await lock(stores, inner, id)
          if (invoice.status !== 'open') throw billingErrors.invoice_not_open({ detail: `It is ${invoice.status}.` })
          return beginPayment(deps, stores, invoice)
        }, inner.tx)
        return collect(deps, inner, payment)
      })
      if (declined !== null) throw declinedError(declined, false)
      return service.get(scope, id)
    },

    async void(scope, id) {
      checkScope(scope)
      return storage.run(async (stores, tx) => {
        const { invoice, subscription } = await lock(stores, scope, id)
        if (invoice.status !== 'open') throw billingErrors.invoice_not_open({ detail: `It is ${invoice.status}.` })
        const payments = await stores.payments.of(id)
        if (payments.some((payment) => payment.status === 'pending')) throw billingErrors.payment_in_progress()
        // What was never paid can never be credited.
        if (subscription?.billedInvoiceId === id) {
          await stores.subscriptions.update({ ...subscription, billed: 0, updatedAt: runtime.clock.now() })
        }
        await addToBalance(deps, stores, scope.tenantId, invoice.balanceApplied)
        const now = runtime.clock.now()
        const after: Invoice = { ...invoice, status: 'void', voidedAt: now, updatedAt: now }
        await stores.invoices.update(after)
        await emitInvoice(deps, scope, 'voided', after, tx, invoice)
        const locked = subscription && (await stores.subscriptions.lock(scope.tenantId, subscription.id))
        if (locked) await clearPastDue(deps, stores, scope, locked, tx)
        return after
      }, scope.tx)
    },
  }
  return service
}
