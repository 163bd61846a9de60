/** What a change would do and cost at this moment, by the rules that the change itself follows. */
import type { Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { billingErrors } from '../errors.js'
import { totals } from '../invoices/lines.js'
import { overage, readWindow } from './apply.js'
import { decideChange } from './decide.js'
import type { ChangePreview, ChangeSubscription, Subscription } from './schema.js'
import { assertSteady, owes } from './steady.js'

/** @throws ProblemError as the change would, and `renewal_due` while the period is over. */
export async function preview(
  deps: Deps,
  scope: Scope,
  subscription: Subscription,
  wanted: ChangeSubscription,
): Promise<ChangePreview> {
  const { catalog, storage, runtime } = deps
  assertSteady(subscription)
  const now = runtime.clock.now()
  const { id, plan, interval, currentPeriodEnd } = subscription
  if (currentPeriodEnd <= now) throw billingErrors.renewal_due({ detail: 'Call `runDueWork` first.' })
  return storage.read(async (stores) => {
    const decision = decideChange(catalog, subscription, wanted, now, await owes(stores, id))
    if (decision.when === 'undo') return { when: 'undo', effectiveAt: now, plan, interval, invoice: null, usage: [] }
    if (decision.when === 'period_end') {
      return { when: 'period_end', effectiveAt: currentPeriodEnd, ...decision.scheduled, invoice: null, usage: [] }
    }
    const balance = (await stores.customers.get(scope.tenantId))?.balance ?? 0
    const { lines, next, endsWindow } = decision
    const invoice = { currency: catalog.currency, lines, ...totals(lines, balance) }
    const usage = endsWindow ? overage(deps, subscription, await readWindow(stores, subscription), now) : []
    return { when: 'now', effectiveAt: now, plan: next.plan, interval: next.interval, invoice, usage }
  }, scope.tx)
}
