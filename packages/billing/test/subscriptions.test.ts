/** The life of a subscription, on every storage. Numbers are those of the bugs of others. */
import { localProvider, type PaymentProvider, prorate } from '@org/billing'
import { fakeClock } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, billingOn, places, type World } from './kit.js'

let tenants = 0
const fresh = () => ({ tenantId: `t${++tenants}` })

/** Decided in this process, or asked between two transactions, as a provider over the network is. */
const providers = { local: localProvider(), remote: { ...localProvider(), inProcess: false } }

for (const place of places) {
  describe.skipIf(place.missing).each(['local', 'remote'] as const)(
    `subscriptions on ${place.name}, %s provider`,
    (kind) => {
      let world: World
      beforeAll(async () => {
        world = await place.open({ pool: 1 })
      })
      afterAll(() => world?.close())

      const setUp = (start = '2026-04-01T00:00:00Z', provider: PaymentProvider = providers[kind]) => {
        return { scope: fresh(), ...billingOn(world.storage, { clock: fakeClock(start), provider }) }
      }

      it('subscribes: a customer, a paid invoice with a number, and events', async () => {
        const { scope, billing, clock, types } = setUp('2026-01-31T10:00:00Z')
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
        expect(data).toMatchObject([
          { status: 'paid', total: 3000, amountPaid: 3000, number: expect.stringMatching(/^INV-\d{6}$/) },
        ])
        expect(await billing.customers.get(scope)).toMatchObject({ balance: 0 })
        expect(types()).toEqual(['subscription.created', 'invoice.finalized', 'invoice.paid'])
        expect(await billing.subscriptions.current(scope)).toEqual(subscription)
      })

      it('a declined first payment is a 402 and leaves nothing, so that the next try succeeds', async () => {
        const { scope, billing, types } = setUp()
        await billing.customers.create(scope, { paymentMethod: 'pm_declined_insufficient_funds' })
        await expect(billing.subscriptions.create(scope, { plan: 'pro' })).rejects.toMatchObject({
          code: 'payment_declined',
          status: 402,
          extensions: { declineCode: 'insufficient_funds' },
        })
        expect((await billing.subscriptions.list(scope)).data).toEqual([])
        expect((await billing.invoices.list(scope)).data).toEqual([])
        expect(types()).toEqual(['customer.created', 'invoice.payment_failed'])
        await billing.customers.update(scope, { paymentMethod: 'pm_card' })
        expect(await billing.subscriptions.create(scope, { plan: 'pro' })).toMatchObject({ status: 'active' })
      })

      it('refuses a second live one, an unknown plan, an interval that is not sold and a plan without a price', async () => {
        const { scope, billing } = setUp()
        await billing.subscriptions.create(scope, { plan: 'starter', interval: 'year' })
        await expect(billing.subscriptions.create(scope, { plan: 'pro' })).rejects.toMatchObject({
          code: 'subscription_exists',
          status: 409,
        })
        const other = fresh()
        const refused = (plan: string, interval?: 'month' | 'year') =>
          billing.subscriptions.create(other, { plan: plan as 'pro', ...(interval && { interval }) })
        await expect(refused('gold')).rejects.toMatchObject({
          status: 422,
          errors: [{ pointer: '/plan', detail: 'unknown value "gold"; known values: free, starter, pro, scale' }],
        })
        await expect(refused('scale', 'year')).rejects.toMatchObject({
          errors: [{ pointer: '/interval', detail: 'unknown value "year"; known values: month' }],
        })
        await expect(refused('free')).rejects.toMatchObject({ errors: [{ pointer: '/plan' }] })
        expect((await billing.subscriptions.list(other)).data).toEqual([])
      })

      it('upgrades now: preview and apply agree to the cent, and the period stays', async () => {
        const { scope, billing, clock, types } = setUp()
        const { id, currentPeriodStart, currentPeriodEnd } = await billing.subscriptions.create(scope, {
          plan: 'starter',
        })
        clock.set('2026-04-16T07:13:21Z')
        const preview = await billing.subscriptions.previewChange(scope, id, { plan: 'pro' })
        const part = (amount: number) =>
          prorate({ amount, start: currentPeriodStart, end: currentPeriodEnd, from: clock.now() })
        expect(preview).toMatchObject({ when: 'now', plan: 'pro', effectiveAt: clock.now(), usage: [] })
        expect(preview.invoice?.lines.map(({ kind, amount }) => [kind, amount])).toEqual([
          ['proration_credit', -part(1000)],
          ['proration_charge', part(3000)],
        ])
        const before = types().length
        const changed = await billing.subscriptions.change(scope, id, { plan: 'pro' })
        expect(changed).toMatchObject({
          plan: 'pro',
          amount: 3000,
          currentPeriodStart,
          currentPeriodEnd,
          pendingInvoiceId: null,
        })
        const [invoice] = (await billing.invoices.list(scope)).data
        const { lines, total, amountDue, balanceApplied, currency } = invoice ?? {}
        expect({ lines, total, amountDue, balanceApplied, currency }).toEqual(preview.invoice)
        expect(invoice).toMatchObject({ status: 'paid', reason: 'subscription_change', total: part(3000) - part(1000) })
        expect(types().slice(before)).toEqual(['subscription.updated', 'invoice.finalized', 'invoice.paid'])
      })

      it('a declined upgrade is a 402 and changes nothing', async () => {
        const { scope, billing, clock } = setUp()
        const created = await billing.subscriptions.create(scope, { plan: 'starter' })
        await billing.customers.update(scope, { paymentMethod: 'pm_declined' })
        clock.set('2026-04-10T00:00:00Z')
        const [subscription, invoices, customer] = [
          created,
          await billing.invoices.list(scope),
          await billing.customers.get(scope),
        ]
        await expect(billing.subscriptions.change(scope, created.id, { plan: 'pro' })).rejects.toMatchObject({
          status: 402,
          code: 'payment_declined',
        })
        expect({ ...(await billing.subscriptions.get(scope, created.id)), updatedAt: 0 }).toEqual({
          ...subscription,
          updatedAt: 0,
        })
        expect(await billing.invoices.list(scope)).toEqual(invoices)
        expect({ ...(await billing.customers.get(scope)), updatedAt: 0 }).toEqual({ ...customer, updatedAt: 0 })
      })

      it('bug 10: two upgrades on one day never credit more than was billed', async () => {
        const { scope, billing, clock } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'starter' })
        clock.set('2026-04-11T00:00:00Z')
        await billing.subscriptions.change(scope, id, { plan: 'pro' })
        await billing.subscriptions.change(scope, id, { plan: 'scale' })
        const { data } = await billing.invoices.list(scope)
        const kinds = (kind: string) => data.flatMap((invoice) => invoice.lines.filter((line) => line.kind === kind))
        // Starter: 1000 billed, 667 credited. Pro: 2000 billed, the very 2000 credited.
        expect(
          kinds('proration_credit')
            .map((line) => [line.plan, line.amount])
            .sort(),
        ).toEqual([
          ['pro', -2000],
          ['starter', -667],
        ])
        const paid = data.reduce((sum, invoice) => sum + invoice.amountPaid, 0)
        expect(paid).toBe(1000 - 667 + 6000)
        expect(await billing.customers.get(scope)).toMatchObject({ balance: 0 })
      })

      it('a credit that is larger than the charge goes onto the balance, and the next invoice takes from it', async () => {
        const { scope, billing, clock } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'pro', interval: 'year' })
        clock.set('2026-04-02T00:00:00Z')
        const changed = await billing.subscriptions.change(scope, id, { interval: 'month' })
        const credit = prorate({
          amount: 30_000,
          start: at('2026-04-01T00:00:00Z'),
          end: at('2027-04-01T00:00:00Z'),
          from: clock.now(),
        })
        expect(changed).toMatchObject({
          interval: 'month',
          anchor: clock.now(),
          currentPeriodStart: clock.now(),
          currentPeriodEnd: at('2026-05-02T00:00:00Z'),
        })
        expect(await billing.customers.get(scope)).toMatchObject({ balance: credit - 3000 })
        expect((await billing.invoices.list(scope)).data[0]).toMatchObject({
          status: 'paid',
          total: 3000 - credit,
          balanceApplied: 3000 - credit,
          amountDue: 0,
          amountPaid: 0,
        })
        clock.set('2026-05-02T00:00:00Z')
        await billing.runDueWork()
        expect((await billing.invoices.list(scope)).data[0]).toMatchObject({
          total: 3000,
          balanceApplied: 3000,
          amountDue: 0,
        })
        expect(await billing.customers.get(scope)).toMatchObject({ balance: credit - 6000 })
      })

      it('downgrades when the period ends, which can be undone, by change or by resume', async () => {
        const { scope, billing, clock, types } = setUp()
        const { id, currentPeriodEnd } = await billing.subscriptions.create(scope, { plan: 'pro' })
        expect(await billing.subscriptions.previewChange(scope, id, { plan: 'starter' })).toEqual({
          when: 'period_end',
          effectiveAt: currentPeriodEnd,
          plan: 'starter',
          interval: 'month',
          invoice: null,
          usage: [],
        })
        const scheduled = { plan: 'starter', interval: 'month' }
        expect(await billing.subscriptions.change(scope, id, { plan: 'starter' })).toMatchObject({
          plan: 'pro',
          scheduledChange: scheduled,
        })
        expect((await billing.subscriptions.previewChange(scope, id, { plan: 'pro' })).when).toBe('undo')
        expect(await billing.subscriptions.change(scope, id, { plan: 'pro' })).toMatchObject({ scheduledChange: null })
        await billing.subscriptions.change(scope, id, { plan: 'starter' })
        expect(await billing.subscriptions.resume(scope, id)).toMatchObject({ scheduledChange: null })
        await billing.subscriptions.change(scope, id, { plan: 'starter' })
        expect((await billing.entitlements.check(scope.tenantId, 'sso')).allowed).toBe(true)

        clock.set(currentPeriodEnd)
        // What holds does not wait for the scheduler.
        expect((await billing.entitlements.check(scope.tenantId, 'sso')).reason).toBe('not_in_plan')
        expect(await billing.runDueWork()).toMatchObject({ changed: 1, failed: 0 })
        expect(await billing.subscriptions.get(scope, id)).toMatchObject({
          plan: 'starter',
          amount: 1000,
          scheduledChange: null,
        })
        expect((await billing.invoices.list(scope)).data[0]).toMatchObject({
          total: 1000,
          reason: 'subscription_renewal',
        })
        expect(types().slice(-4)).toEqual([
          'invoice.finalized',
          'subscription.renewed',
          'subscription.updated',
          'invoice.paid',
        ])
      })

      it('an upgrade supersedes a scheduled downgrade', async () => {
        const { scope, billing } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
        await billing.subscriptions.change(scope, id, { plan: 'starter' })
        expect(await billing.subscriptions.change(scope, id, { plan: 'scale' })).toMatchObject({
          plan: 'scale',
          scheduledChange: null,
        })
      })

      it('bug 8: a change of plan does not silently un-cancel', async () => {
        const { scope, billing, clock } = setUp()
        const { id, currentPeriodEnd } = await billing.subscriptions.create(scope, { plan: 'starter' })
        await billing.subscriptions.cancel(scope, id)
        expect(await billing.subscriptions.change(scope, id, { plan: 'pro' })).toMatchObject({
          plan: 'pro',
          cancelAtPeriodEnd: true,
        })
        await expect(billing.subscriptions.change(scope, id, { plan: 'starter' })).rejects.toMatchObject({
          code: 'cancellation_scheduled',
        })
        clock.set(currentPeriodEnd)
        expect(await billing.runDueWork()).toMatchObject({ canceled: 1 })
        expect(await billing.subscriptions.get(scope, id)).toMatchObject({
          status: 'canceled',
          endedAt: currentPeriodEnd,
        })
      })

      it('cancels at the end, resumes, and cancels now; then the default plan holds and the slot is free', async () => {
        const { scope, billing, clock, heard } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
        expect(await billing.subscriptions.cancel(scope, id)).toMatchObject({
          status: 'active',
          cancelAtPeriodEnd: true,
          canceledAt: clock.now(),
        })
        await expect(billing.subscriptions.cancel(scope, id)).rejects.toMatchObject({ code: 'no_change', status: 409 })
        expect(await billing.subscriptions.resume(scope, id)).toMatchObject({
          cancelAtPeriodEnd: false,
          canceledAt: null,
        })
        await expect(billing.subscriptions.resume(scope, id)).rejects.toMatchObject({
          code: 'not_canceling',
          status: 409,
        })
        clock.advance(1000)
        expect(await billing.subscriptions.cancel(scope, id, { when: 'now' })).toMatchObject({
          status: 'canceled',
          endedAt: clock.now(),
        })
        for (const step of [
          () => billing.subscriptions.change(scope, id, { plan: 'scale' }),
          () => billing.subscriptions.previewChange(scope, id, { plan: 'scale' }),
          () => billing.subscriptions.cancel(scope, id, { when: 'now' }),
          () => billing.subscriptions.resume(scope, id),
        ]) {
          await expect(step()).rejects.toMatchObject({ code: 'subscription_ended', status: 409 })
        }
        expect(heard.at(-1)).toMatchObject({
          type: 'subscription.canceled',
          before: { status: 'active' },
          after: { status: 'canceled' },
          resource: { type: 'subscription', id },
        })
        expect((await billing.entitlements.check(scope.tenantId, 'projects')).limit).toBe(1)
        const again = await billing.subscriptions.create(scope, { plan: 'starter' })
        expect((await billing.subscriptions.list(scope)).data.map((row) => row.id)).toEqual([again.id, id])
      })

      it('refuses a change to what it is', async () => {
        const { scope, billing } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
        const same = { code: 'no_change', status: 409 }
        await expect(billing.subscriptions.change(scope, id, { plan: 'pro' })).rejects.toMatchObject(same)
        await expect(billing.subscriptions.previewChange(scope, id, {})).rejects.toMatchObject(same)
      })

      it('keeps tenants apart', async () => {
        const { scope, billing } = setUp()
        const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
        const [invoice] = (await billing.invoices.list(scope)).data
        const other = fresh()
        const missing = { code: 'not_found', status: 404 }
        await expect(billing.subscriptions.get(other, id)).rejects.toMatchObject(missing)
        await expect(billing.subscriptions.previewChange(other, id, { plan: 'scale' })).rejects.toMatchObject(missing)
        await expect(billing.subscriptions.change(other, id, { plan: 'scale' })).rejects.toMatchObject(missing)
        await expect(billing.subscriptions.cancel(other, id)).rejects.toMatchObject(missing)
        await expect(billing.subscriptions.resume(other, id)).rejects.toMatchObject(missing)
        await expect(billing.invoices.get(other, invoice?.id ?? '')).rejects.toMatchObject(missing)
        await expect(billing.invoices.pay(other, invoice?.id ?? '')).rejects.toMatchObject(missing)
        await expect(billing.invoices.void(other, invoice?.id ?? '')).rejects.toMatchObject(missing)
        expect((await billing.invoices.list(other)).data).toEqual([])
        expect((await billing.subscriptions.list(other)).data).toEqual([])
      })

      it('a provider that does not answer: the payment is on its way, and heals', async () => {
        let down = true
        const asked: string[] = []
        const flaky: PaymentProvider = {
          ...providers[kind],
          inProcess: false,
          async charge(request) {
            asked.push(request.idempotencyKey)
            if (down) throw new Error('connection reset')
            return localProvider().charge(request)
          },
        }
        const { scope, billing, clock } = setUp(undefined, flaky)
        const starting = billing.subscriptions.create(scope, { plan: 'starter' })
        await expect(starting).rejects.toMatchObject({ code: 'payment_unavailable', status: 503 })
        expect(await billing.subscriptions.current(scope)).toMatchObject({ status: 'incomplete' })
        await expect(billing.subscriptions.create(scope, { plan: 'starter' })).rejects.toMatchObject({
          code: 'subscription_exists',
        })
        down = false
        expect(await billing.runDueWork()).toMatchObject({ settled: 0 })
        clock.advance(61_000)
        expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
        const { id } = (await billing.subscriptions.current(scope)) ?? { id: '' }
        expect(await billing.subscriptions.get(scope, id)).toMatchObject({ status: 'active' })

        down = true
        await expect(billing.subscriptions.change(scope, id, { plan: 'pro' })).rejects.toMatchObject({ status: 503 })
        expect((await billing.entitlements.check(scope.tenantId, 'sso')).allowed).toBe(false)
        const busy = { code: 'payment_in_progress', status: 409 }
        await expect(billing.subscriptions.change(scope, id, { plan: 'scale' })).rejects.toMatchObject(busy)
        await expect(billing.subscriptions.cancel(scope, id)).rejects.toMatchObject(busy)
        down = false
        clock.advance(61_000)
        await billing.runDueWork()
        expect(await billing.subscriptions.get(scope, id)).toMatchObject({ plan: 'pro', pendingInvoiceId: null })
        // The same key each time that the same money is asked for.
        const keys = [...new Set(asked)]
        expect(asked.map((key) => keys.indexOf(key))).toEqual([0, 0, 1, 1])
        expect(keys[0]).toMatch(/^charge:inv_\w+:1$/)
      })

      if (kind === 'remote')
        it('a provider over the network is never asked inside of a transaction', async () => {
          const { scope } = setUp()
          // With a pool of one connection, a charge within a transaction of ours would hang here.
          const asking: PaymentProvider = {
            ...providers.remote,
            async charge(request) {
              await world.storage.run(async (stores) => stores.customers.get(request.tenantId))
              return localProvider().charge(request)
            },
          }
          const { billing } = billingOn(world.storage, { provider: asking })
          await world.transaction(async (tx) => {
            const joined = billing.subscriptions.create({ ...scope, tx }, { plan: 'pro' })
            await expect(joined).rejects.toMatchObject({
              code: 'setup_error',
              detail: expect.stringContaining('without a transaction'),
            })
          })
          expect(await billing.subscriptions.create(scope, { plan: 'pro' })).toMatchObject({ status: 'active' })
        })

      if (kind === 'remote')
        it('what could not be written down after a charge is, later', async () => {
          const { scope } = setUp()
          let broken = true
          const events = () => {
            if (broken) throw new Error('crash')
          }
          const { billing, clock } = billingOn(world.storage, { events, provider: providers.remote })
          await expect(billing.subscriptions.create(scope, { plan: 'starter' })).rejects.toThrow('crash')
          expect(await billing.subscriptions.current(scope)).toMatchObject({ status: 'incomplete' })
          expect((await billing.entitlements.check(scope.tenantId, 'projects')).limit).toBe(1)
          broken = false
          clock.advance(61_000)
          expect(await billing.runDueWork()).toMatchObject({ settled: 1 })
          expect(await billing.subscriptions.current(scope)).toMatchObject({ status: 'active' })
        })

      if (kind === 'local')
        it('joins the transaction of the host, and leaves nothing when that rolls back', async () => {
          const { scope, billing } = setUp()
          const failing = world.transaction(async (tx) => {
            const { id } = await billing.subscriptions.create({ ...scope, tx }, { plan: 'starter' })
            await billing.subscriptions.change({ ...scope, tx }, id, { plan: 'pro' })
            throw new Error('the host changed its mind')
          })
          await expect(failing).rejects.toThrow('changed its mind')
          expect(await billing.subscriptions.current(scope)).toBeNull()
          expect((await billing.invoices.list(scope)).data).toEqual([])
          await expect(billing.customers.get(scope)).rejects.toMatchObject({ code: 'not_found' })
          await world.transaction((tx) => billing.subscriptions.create({ ...scope, tx }, { plan: 'starter' }))
          expect(await billing.subscriptions.current(scope)).toMatchObject({ plan: 'starter' })
          expect(await billing.verify()).toMatchObject({ ok: true })
        })

      if (kind === 'local')
        it('a sink that throws leaves nothing, whichever step it is', async () => {
          for (const type of ['subscription.created', 'invoice.finalized', 'invoice.paid']) {
            const { scope } = setUp()
            const { billing } = billingOn(world.storage, {
              events: (event) => {
                if (event.type === type) throw new Error('no')
              },
            })
            await expect(billing.subscriptions.create(scope, { plan: 'starter' })).rejects.toThrow('no')
            expect(await billing.subscriptions.current(scope)).toBeNull()
            expect((await billing.invoices.list(scope)).data).toEqual([])
          }
          expect(await billingOn(world.storage).billing.verify()).toMatchObject({ ok: true })
        })
    },
  )
}
