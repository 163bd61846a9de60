/** The catalog of events: what is emitted is listed (the kit asserts it in every test), and says what it shows. */
import { billingEvents, memoryStorage } from '@org/billing'
import { expect, it } from 'vitest'
import { billingOn } from './kit.js'

it('describes each event with an example that fits', () => {
  for (const [type, schema] of Object.entries(billingEvents)) {
    const { description, examples } = schema.meta() as { description?: string; examples?: unknown[] }
    expect(description, type).toBeTypeOf('string')
    expect(examples, type).toHaveLength(1)
    expect(schema.parse(examples?.[0])).toEqual(examples?.[0])
  }
})

it('tells little in `data`, and shows what the routes show before and after', async () => {
  const { billing, heard } = billingOn(memoryStorage())
  const scope = { tenantId: 'acme' }
  const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
  await billing.subscriptions.cancel(scope, id)
  await billing.customers.update(scope, { name: 'Acme' })
  const event = heard.find(({ type }) => type === 'subscription.updated')
  expect(event).toMatchObject({
    resource: { type: 'subscription', id },
    data: { subscriptionId: id, plan: 'pro', interval: 'month', status: 'active', cancelAtPeriodEnd: true },
    before: { id, cancelAtPeriodEnd: false, canceledAt: null },
    after: { id, cancelAtPeriodEnd: true, canceledAt: event?.after?.updatedAt },
  })
  expect(event?.data.currentPeriodEnd).toBe(event?.after?.currentPeriodEnd)
  expect(event?.after?.createdAt).toMatch(/^\d{4}-\d{2}-\d{2}T.*Z$/)
  expect(heard.map(({ type }) => type)).toContain('customer.updated')
  for (const { before = {}, after = {} } of heard) {
    for (const hidden of ['tenantId', 'liveSlot', 'billed', 'pendingInvoiceId', 'periodKey', 'change']) {
      expect([before, after].some((view) => hidden in view)).toBe(false)
    }
  }
})
