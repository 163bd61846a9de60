/** Invoices, renewals and due work, on every storage. Numbers are those of the bugs of others. */
import { fakeClock } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, billingOn, places, type World } from './kit.js'

let tenants = 0
const fresh = () => ({ tenantId: `i${++tenants}` })

for (const place of places) {
  describe.skipIf(place.missing)(`invoices on ${place.name}`, () => {
    let world: World
    beforeAll(async () => {
      world = await place.open({ pool: 1 })
    })
    afterAll(() => world?.close())

    /** Each test looks at time spans of its own, so that nobody else's subscription is due. */
    const setUp = (start: string) => ({ scope: fresh(), ...billingOn(world.storage, { clock: fakeClock(start) }) })

    it('after a downtime bills each missed period once, and shifts no boundary', async () => {
      const { scope, billing, clock } = setUp('2020-01-31T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      await billing.usage.record({ tenantId: scope.tenantId, meter: 'requests', quantity: 1500 })
      clock.set('2020-05-15T00:00:00Z')
      expect(await billing.runDueWork()).toMatchObject({ renewed: 3, failed: 0 })
      expect(await billing.runDueWork()).toMatchObject({ renewed: 0 })
      const { data } = await billing.invoices.list(scope)
      expect(data.map((invoice) => [new Date(invoice.periodStart).toISOString().slice(0, 10), invoice.total])).toEqual([
        ['2020-04-30', 3000],
        ['2020-03-31', 3000],
        ['2020-02-29', 3250],
        ['2020-01-31', 3000],
      ])
      expect(data[2]?.lines[1]).toMatchObject({
        kind: 'usage',
        meter: 'requests',
        quantity: 500,
        amount: 250,
        periodStart: at('2020-01-31T00:00:00Z'),
        periodEnd: at('2020-02-29T00:00:00Z'),
        description: 'API requests beyond the 1000 included',
        pricing: [{ quantity: 500, unitAmount: 5, per: 10, flatAmount: 0, amount: 250 }],
      })
      expect(await billing.subscriptions.get(scope, id)).toMatchObject({ currentPeriodEnd: at('2020-05-31T00:00:00Z') })
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('takes the time as an argument, as a Date too', async () => {
      const { scope, billing } = setUp('2020-06-01T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'starter' })
      expect(await billing.runDueWork(new Date('2020-07-01T00:00:00Z'))).toMatchObject({ renewed: 1 })
      expect(await billing.runDueWork(at('2020-08-01T00:00:00Z'))).toMatchObject({ renewed: 1 })
      await expect(billing.runDueWork(Number.NaN)).rejects.toMatchObject({ code: 'invalid_input' })
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('previews what the renewal then bills', async () => {
      const { scope, billing, clock } = setUp('2020-09-01T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      await billing.usage.record({ tenantId: scope.tenantId, meter: 'requests', quantity: 1011 })
      const preview = await billing.invoices.preview(scope)
      expect(preview).toMatchObject({ total: 3006, amountDue: 3006, currency: 'usd' })
      clock.set('2020-10-01T00:00:00Z')
      await billing.runDueWork()
      const [invoice] = (await billing.invoices.list(scope)).data
      expect(invoice).toMatchObject(preview ?? {})
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
      expect(await billing.invoices.preview(scope)).toBeNull()
    })

    it('bills the overage of a window that ends early: change of interval, and cancelling now', async () => {
      const { scope, billing, clock } = setUp('2021-01-01T00:00:00Z')
      const use = (quantity: number) => billing.usage.record({ tenantId: scope.tenantId, meter: 'requests', quantity })
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      await use(1020)
      // At the very moment of its beginning a period has no past: its window goes on.
      await billing.subscriptions.change(scope, id, { interval: 'year' })
      expect(await use(20)).toMatchObject({ used: 1040 })
      clock.set('2021-01-02T00:00:00Z')
      const preview = await billing.subscriptions.previewChange(scope, id, { interval: 'month' })
      expect(preview.usage).toMatchObject([{ kind: 'usage', quantity: 40, amount: 20 }])
      await billing.subscriptions.change(scope, id, { interval: 'month' })
      const [latest, before] = (await billing.invoices.list(scope)).data
      expect([latest, before].map((invoice) => invoice?.lines.map((line) => line.kind)).sort()).toEqual([
        ['proration_credit', 'plan'],
        ['usage'],
      ])
      // A day of a year has earned 3 of the 1000 that were used: 997 go along.
      expect(await use(1002)).toMatchObject({ used: 997 + 1002, windowStart: clock.now() })
      clock.set('2021-01-03T00:00:00Z')
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
      const [last] = (await billing.invoices.list(scope)).data
      expect(last).toMatchObject({ reason: 'subscription_end', total: 500, status: 'paid', periodEnd: clock.now() })
      // The default plan has a window of its own.
      expect(await use(1)).toMatchObject({ used: 1, limit: 10 })
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('a declined renewal leaves the invoice open and the subscription past due; void settles it too', async () => {
      const { scope, billing, clock, types } = setUp('2021-03-01T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      await billing.customers.update(scope, { paymentMethod: 'pm_declined' })
      clock.set('2021-04-01T00:00:00Z')
      const seen = types().length
      expect(await billing.runDueWork()).toMatchObject({ renewed: 1, declined: 1, failed: 0 })
      expect(types().slice(seen)).toEqual([
        'invoice.finalized',
        'subscription.renewed',
        'invoice.payment_failed',
        'subscription.updated',
      ])
      const [invoice] = (await billing.invoices.list(scope, { status: 'open' })).data
      expect(invoice).toMatchObject({ status: 'open', amountDue: 3000, amountPaid: 0, number: expect.any(String) })
      const upgrade = billing.subscriptions.change(scope, id, { plan: 'scale' })
      await expect(upgrade).rejects.toMatchObject({ code: 'payment_due', status: 402 })
      const voided = await billing.invoices.void(scope, invoice?.id ?? '')
      expect(voided).toMatchObject({ status: 'void', number: invoice?.number, voidedAt: clock.now() })
      expect(await billing.subscriptions.get(scope, id)).toMatchObject({ status: 'active' })
      // What was never paid is not credited.
      await billing.customers.update(scope, { paymentMethod: null })
      clock.set('2021-04-16T00:00:00Z')
      const { invoice: change } = await billing.subscriptions.previewChange(scope, id, { plan: 'scale' })
      expect(change?.lines.map((line) => line.amount)).toEqual([0, 4500])
      const notOpen = { code: 'invoice_not_open', status: 409 }
      await expect(billing.invoices.void(scope, voided.id)).rejects.toMatchObject(notOpen)
      await expect(billing.invoices.pay(scope, voided.id)).rejects.toMatchObject(notOpen)
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('invoices of the host’s own: drafted, made final with the next number, paid', async () => {
      const { scope, billing, types } = setUp('2021-06-01T00:00:00Z')
      const lines = [
        { description: 'Set-up', amount: 5000 },
        { description: 'Goodwill', amount: -1000 },
      ]
      const draft = await billing.invoices.create(scope, { lines })
      expect(draft).toMatchObject({ status: 'draft', number: null, total: 4000, amountDue: 4000, reason: 'manual' })
      await expect(billing.invoices.pay(scope, draft.id)).rejects.toMatchObject({ code: 'invoice_not_open' })
      const final = await billing.invoices.finalize(scope, draft.id)
      expect(final).toMatchObject({ status: 'open', number: expect.stringMatching(/^INV-/) })
      await expect(billing.invoices.finalize(scope, draft.id)).rejects.toMatchObject({
        code: 'invoice_not_draft',
        status: 409,
      })
      expect(await billing.invoices.pay(scope, draft.id)).toMatchObject({ status: 'paid', amountPaid: 4000 })
      expect(types()).toEqual(['invoice.created', 'invoice.finalized', 'invoice.paid'])
      const credit = await billing.invoices.create(scope, { lines: [{ description: 'Refund', amount: -700 }] })
      expect(await billing.invoices.finalize(scope, credit.id)).toMatchObject({
        status: 'paid',
        amountDue: 0,
        balanceApplied: -700,
      })
      const next = await billing.invoices.create(scope, { lines: [{ description: 'Fee', amount: 1000 }] })
      expect(await billing.invoices.finalize(scope, next.id)).toMatchObject({ amountDue: 300, balanceApplied: 700 })
      expect(await billing.invoices.void(scope, next.id)).toMatchObject({ status: 'void' })
      expect(await billing.customers.get(scope)).toMatchObject({ balance: 700 })
      await expect(billing.invoices.create(scope, { lines: [] })).rejects.toMatchObject({
        errors: [{ pointer: '/lines' }],
      })
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('lists in pages, by status', async () => {
      const { scope, billing } = setUp('2021-07-01T00:00:00Z')
      const made = []
      for (let i = 0; i < 5; i++)
        made.push(await billing.invoices.create(scope, { lines: [{ description: 'x', amount: i }] }))
      const first = await billing.invoices.list(scope, { limit: 2 })
      const second = await billing.invoices.list(scope, { limit: 2, cursor: first.next ?? '' })
      const third = await billing.invoices.list(scope, { limit: 2, cursor: second.next ?? '' })
      const ids = [...first.data, ...second.data, ...third.data].map((invoice) => invoice.id)
      expect(ids).toEqual(made.map((invoice) => invoice.id).reverse())
      expect(third.next).toBeNull()
      expect((await billing.invoices.list(scope, { status: 'paid' })).data).toEqual([])
    })

    it('one subscription that cannot be renewed does not keep the others waiting', async () => {
      const { scope, billing, clock } = setUp('2021-09-01T00:00:00Z')
      const other = fresh()
      await billing.subscriptions.create(scope, { plan: 'starter' })
      await billing.subscriptions.create(other, { plan: 'starter' })
      clock.set('2021-10-01T00:00:00Z')
      const failing = billingOn(world.storage, {
        clock,
        events: (event) => {
          if (event.tenantId === scope.tenantId) throw new Error('no')
        },
      })
      expect(await failing.billing.runDueWork()).toMatchObject({ renewed: 1, failed: 1 })
      expect(failing.logger.entries).toMatchObject([{ level: 'error', message: 'due work failed' }])
      expect((await billing.invoices.list(scope)).data).toHaveLength(1)
      expect(await billing.runDueWork()).toMatchObject({ renewed: 1, failed: 0 })
      for (const { tenantId } of [scope, other]) {
        const { id } = (await billing.subscriptions.current({ tenantId })) ?? { id: '' }
        await billing.subscriptions.cancel({ tenantId }, id, { when: 'now' })
      }
    })

    it('verify names what is wrong', async () => {
      const { scope, billing } = setUp('2021-11-01T00:00:00Z')
      const { tenantId } = scope
      await billing.usage.record({ tenantId, meter: 'requests', quantity: 4 })
      const windowStart = at('2021-11-01T00:00:00Z')
      const key = { tenantId, holder: 'default', meter: 'requests', windowStart }
      await world.storage.run((stores) => stores.usage.consume(key, 1, null))
      const found = await billing.verify()
      expect(found.ok).toBe(false)
      expect(found.counters.wrong).toEqual([{ ...key, counted: 5, recorded: 4 }])
      await world.storage.run((stores) => stores.usage.release(key, 1))
      await world.storage.run((stores) => stores.invoices.nextNumber('invoice'))
      const { numbers } = await billing.verify()
      expect(numbers.last).toBe(numbers.numbered + 1)
    })
  })
}
