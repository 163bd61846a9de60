/** The life of a subscription, on every storage. */
import { fakeClock } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, billingOn, places, type World } from './kit.js'

let tenants = 0
const fresh = () => ({ tenantId: `t${++tenants}` })

for (const place of places) {
  describe.skipIf(place.missing)(`subscriptions on ${place.name}`, () => {
    let world: World
    beforeAll(async () => {
      world = await place.open({ pool: 1 })
    })
    afterAll(() => world?.close())

    it('subscribes: customer, paid invoice with a number, and an event', async () => {
      const scope = fresh()
      const { billing, clock, types } = billingOn(world.storage, { clock: fakeClock('2026-01-31T10:00:00Z') })
      const subscription = await billing.subscriptions.create(scope, { plan: 'pro' })
      expect(subscription).toMatchObject({
        plan: 'pro',
        interval: 'month',
        status: 'active',
        currency: 'usd',
        amount: 3000,
        currentPeriodStart: clock.now(),
        currentPeriodEnd: at('2026-02-28T10:00:00Z'),
      })
      const { data } = await billing.invoices.list(scope)
      expect(data).toHaveLength(1)
      expect(data[0]).toMatchObject({
        status: 'paid',
        total: 3000,
        amountPaid: 3000,
        number: expect.stringMatching(/^INV-/),
      })
      expect(await billing.customers.get(scope)).toMatchObject({ balance: 0 })
      expect(types()).toEqual(['subscription.created', 'invoice.finalized', 'invoice.paid'])
    })
  })
}
