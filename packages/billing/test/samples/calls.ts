/** The calls that the guide shows. `docs.test.ts` runs each. */
import { type Billing, billingErrors, createBilling, isProblem, localProvider } from '@org/billing'
import { knexStorage } from '@org/billing/knex'
import { fakeClock } from '@org/billing/testing'
import type { Knex } from 'knex'
import { catalog } from './catalog.js'

type OurBilling = Billing<'free' | 'pro', 'sso' | 'projects', 'requests'>

export async function lifecycle(billing: OurBilling, tenantId: string) {
  const scope = { tenantId }
  const subscription = await billing.subscriptions.create(scope, { plan: 'pro', interval: 'month' })
  const preview = await billing.subscriptions.previewChange(scope, subscription.id, { interval: 'year' })
  const changed = await billing.subscriptions.change(scope, subscription.id, { interval: 'year' })
  await billing.subscriptions.cancel(scope, subscription.id) // when the paid period ends
  await billing.subscriptions.resume(scope, subscription.id)
  const invoices = await billing.invoices.list(scope)
  return { preview, changed, invoices }
}

export async function saveDocument(knex: Knex, billing: OurBilling, tenantId: string, text: string) {
  await knex.transaction(async (tx) => {
    await tx('documents').insert({ tenant_id: tenantId, text })
    await billing.usage.record({ tenantId, meter: 'requests', quantity: text.length }, { tx })
  })
}

export async function mayAddProject(billing: OurBilling, tenantId: string, existing: number) {
  const { allowed, limit } = await billing.entitlements.check(tenantId, 'projects', { needed: existing + 1 })
  return { allowed, limit }
}

export async function declined(billing: OurBilling, tenantId: string) {
  await billing.customers.ensure({ tenantId }, { paymentMethod: 'pm_declined_insufficient_funds' })
  try {
    await billing.subscriptions.create({ tenantId }, { plan: 'pro' })
  } catch (error) {
    if (!isProblem(error) || error.code !== billingErrors.payment_declined.code) throw error
    return error.extensions?.declineCode
  }
}

export async function aYearInATest(knex: Knex) {
  const clock = fakeClock('2026-01-31T00:00:00Z')
  const billing = createBilling({ catalog, storage: knexStorage(knex), clock, provider: localProvider() })
  await billing.subscriptions.create({ tenantId: 'acme' }, { plan: 'pro' })
  clock.set('2027-01-30T00:00:00Z')
  const { renewed } = await billing.runDueWork()
  const { data } = await billing.invoices.list({ tenantId: 'acme' }, { limit: 100 })
  return { renewed, ends: data.map((invoice) => new Date(invoice.periodEnd).toISOString().slice(0, 10)) }
}
