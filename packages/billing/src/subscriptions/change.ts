/** How a change of plan or interval begins. */
import type { Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { issueInvoice } from '../invoices/issue.js'
import type { Payment } from '../payments/schema.js'
import { applyChange } from './apply.js'
import { decideChange } from './decide.js'
import { emitSubscription } from './events.js'
import type { ChangeSubscription } from './schema.js'
import { lockSteady, owes } from './steady.js'

/** Makes a change that is free or scheduled, or drafts the invoice that it waits for. */
export function beginChange(
  deps: Deps,
  scope: Scope,
  id: string,
  wanted: ChangeSubscription,
  now: number,
): Promise<Payment | null> {
  return deps.storage.run(async (stores, tx) => {
    const before = await lockSteady(stores, scope, id)
    const decision = decideChange(deps.catalog, before, wanted, now, await owes(stores, id))
    if (decision.when !== 'now') {
      const scheduledChange = decision.when === 'undo' ? null : decision.scheduled
      const after = { ...before, scheduledChange, updatedAt: now }
      await stores.subscriptions.update(after)
      await emitSubscription(deps, scope, 'updated', after, tx, before)
      return null
    }
    const { next, lines, billed, endsWindow } = decision
    const { period, ...terms } = next
    const change = { ...terms, periodStart: period.start, periodEnd: period.end, billed, endsWindow }
    const reason = 'subscription_change'
    const draft = { subscriptionId: id, reason, lines, period, change, untilPaid: true } as const
    const { invoice, payment } = await issueInvoice(deps, stores, scope, draft, tx)
    if (!payment) return (await applyChange(deps, stores, scope, before, change, invoice.id, tx)).payment
    await stores.subscriptions.update({ ...before, pendingInvoiceId: invoice.id })
    return payment
  }, scope.tx)
}
