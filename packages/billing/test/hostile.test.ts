/** What an attacker, a broken provider or a late clock would try, on every storage. */
import {
  type ChargeRequest,
  createBilling,
  defineCatalog,
  localProvider,
  memoryStorage,
  type PaymentProvider,
} from '@org/billing'
import type { Scope } from '@org/core'
import { fakeClock, recordingLogger } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { at, billingOn, places, type World } from './kit.js'

let tenants = 0
const fresh = () => ({ tenantId: `x${++tenants}` })

/** A provider over the network that keeps what it was asked, and gives no answer while it is down. */
function network() {
  const asked: ChargeRequest[] = []
  const state = { down: false, asked }
  const provider: PaymentProvider = {
    ...localProvider(),
    inProcess: false,
    async charge(request) {
      asked.push(request)
      if (state.down) throw new Error('connection reset')
      return localProvider().charge(request)
    },
  }
  return Object.assign(state, { provider })
}

for (const place of places) {
  describe.skipIf(place.missing)(`hostile on ${place.name}`, () => {
    let world: World
    beforeAll(async () => {
      world = await place.open({ pool: 1 })
    })
    afterAll(() => world?.close())

    const setUp = (start: string, provider: PaymentProvider = localProvider()) => {
      const scope = fresh()
      const made = billingOn(world.storage, { clock: fakeClock(start), provider })
      const use = (quantity: number) =>
        made.billing.usage.record({ tenantId: scope.tenantId, meter: 'requests', quantity })
      return { scope, use, ...made }
    }

    it('a missing tenant or id is a 422 on every call, never everybody’s rows', async () => {
      const { scope, billing } = setUp('2030-01-01T00:00:00Z')
      const { subscriptions, invoices, customers, usage, entitlements } = billing
      const calls: ((scope: Scope, id: string) => Promise<unknown>)[] = [
        (s) => subscriptions.create(s, { plan: 'pro' }),
        (s) => subscriptions.current(s),
        (s) => subscriptions.list(s),
        (s) => invoices.list(s),
        (s) => invoices.preview(s),
        (s) => invoices.create(s, { lines: [{ description: 'x', amount: 1 }] }),
        (s) => customers.create(s),
        (s) => customers.ensure(s),
        (s) => customers.get(s),
        (s) => customers.update(s, {}),
        (s) => usage.summary(s),
        (s) => entitlements.check(s?.tenantId, 'sso'),
        (s) => usage.record({ tenantId: s?.tenantId, meter: 'requests' }),
      ]
      const withId: typeof calls = [
        (s, id) => subscriptions.get(s, id),
        (s, id) => subscriptions.previewChange(s, id, { plan: 'pro' }),
        (s, id) => subscriptions.change(s, id, { plan: 'pro' }),
        (s, id) => subscriptions.cancel(s, id),
        (s, id) => subscriptions.resume(s, id),
        (s, id) => invoices.get(s, id),
        (s, id) => invoices.finalize(s, id),
        (s, id) => invoices.pay(s, id),
        (s, id) => invoices.void(s, id),
        (s, id) => usage.withdraw(s, id),
      ]
      for (const call of [...calls, ...withId]) {
        for (const wrong of [undefined, {}, { tenantId: ' ' }, { tenantId: 7 }]) {
          await expect(call(wrong as Scope, 'sub_1'), String(call)).rejects.toMatchObject({
            code: 'invalid_input',
            errors: [{ pointer: '/tenantId' }],
          })
        }
      }
      for (const call of withId) {
        for (const wrong of [undefined, null, 7, 'a\0b']) {
          await expect(call(scope, wrong as string), String(call)).rejects.toMatchObject({ code: 'invalid_input' })
        }
      }
    })

    it('a change of interval to and fro brings no fresh quota', async () => {
      const { scope, use, billing, clock } = setUp('2030-01-01T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'starter' })
      await use(100)
      for (const interval of ['year', 'month', 'year'] as const) {
        clock.advance(60_000)
        await billing.subscriptions.change(scope, id, { interval })
        expect((await billing.entitlements.check(scope.tenantId, 'requests')).used).toBe(100)
        await expect(use(1)).rejects.toMatchObject({ code: 'quota_exceeded' })
      }
      // What half a year has earned is not held against the month after it.
      clock.set('2030-07-02T12:03:00Z')
      await billing.subscriptions.change(scope, id, { interval: 'month' })
      expect((await billing.entitlements.check(scope.tenantId, 'requests')).used).toBe(50)
      expect(await billing.verify()).toMatchObject({ ok: true })
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('ending a plan that costs nothing and beginning it again brings no fresh quota', async () => {
      const catalog = defineCatalog({
        currency: 'usd',
        features: {},
        meters: { requests: {} },
        plans: {
          hobby: {
            name: 'Hobby',
            rank: 0,
            prices: { month: 0 },
            meters: { requests: { included: 10, limit: 'hard' } },
          },
          paid: {
            name: 'Paid',
            rank: 1,
            prices: { month: 100 },
            meters: { requests: { included: 10, limit: 'hard' } },
          },
        },
      })
      const clock = fakeClock('2030-02-01T00:00:00Z')
      const billing = createBilling({ catalog, storage: world.storage, clock, logger: recordingLogger() })
      const scope = fresh()
      const use = (quantity: number) => billing.usage.record({ ...scope, meter: 'requests', quantity })
      const begin = (plan: 'hobby' | 'paid') => billing.subscriptions.create(scope, { plan })
      const end = (id: string) => billing.subscriptions.cancel(scope, id, { when: 'now' })
      let { id } = await begin('hobby')
      await use(10)
      for (let i = 0; i < 3; i++) {
        await end(id)
        clock.advance(1000)
        id = (await begin('hobby')).id
        await expect(use(1)).rejects.toMatchObject({ code: 'quota_exceeded' })
      }
      // A period that was paid and given up is no debt.
      await billing.subscriptions.change(scope, id, { plan: 'paid' })
      await end(id)
      clock.advance(1000)
      id = (await begin('paid')).id
      expect(await use(10)).toMatchObject({ used: 10 })
      await end(id)
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('credits nothing that has not been paid', async () => {
      const bank = network()
      const { scope, billing, clock } = setUp('2031-01-01T00:00:00Z', bank.provider)
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro', interval: 'year' })
      clock.set('2032-01-01T00:00:00Z')
      bank.down = true
      expect(await billing.runDueWork()).toMatchObject({ failed: 1 })
      expect(await billing.subscriptions.get(scope, id)).toMatchObject({ status: 'active' })
      const [renewal] = (await billing.invoices.list(scope, { status: 'open' })).data
      await expect(billing.invoices.void(scope, renewal?.id ?? '')).rejects.toMatchObject({
        code: 'payment_in_progress',
      })
      bank.down = false
      for (const change of [{ interval: 'month' }, { plan: 'scale', interval: 'month' }] as const) {
        const due = { code: 'payment_due', status: 402 }
        await expect(billing.subscriptions.previewChange(scope, id, change)).rejects.toMatchObject(due)
        await expect(billing.subscriptions.change(scope, id, change)).rejects.toMatchObject(due)
      }
      expect(await billing.customers.get(scope)).toMatchObject({ balance: 0 })
      clock.advance(61_000)
      expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
      expect(await billing.subscriptions.change(scope, id, { interval: 'month' })).toMatchObject({ interval: 'month' })
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('asks again for the very same charge, whatever the customer pays with by then', async () => {
      const bank = network()
      const { scope, billing, clock } = setUp('2033-01-01T00:00:00Z', bank.provider)
      await billing.customers.create(scope, { paymentMethod: 'pm_old' })
      bank.down = true
      const starting = billing.subscriptions.create(scope, { plan: 'starter' })
      await expect(starting).rejects.toMatchObject({ code: 'payment_unavailable' })
      await billing.customers.update(scope, { paymentMethod: 'pm_new' })
      bank.down = false
      clock.advance(61_000)
      expect(await billing.runDueWork()).toMatchObject({ settled: 1 })
      expect(bank.asked).toHaveLength(2)
      expect(bank.asked[1]).toEqual(bank.asked[0])
      const { id } = (await billing.subscriptions.current(scope)) ?? { id: '' }
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('a step that is done says so, though its last invoice has no answer yet', async () => {
      const bank = network()
      const { scope, use, billing, clock, logger } = setUp('2034-01-01T00:00:00Z', bank.provider)
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      await use(1020)
      clock.advance(60_000)
      const charge = bank.provider.charge
      // The change itself is answered, the usage before it is not.
      bank.provider.charge = async (request) => {
        if (request.amount < 100) bank.down = true
        return charge(request)
      }
      expect(await billing.subscriptions.change(scope, id, { interval: 'year' })).toMatchObject({ interval: 'year' })
      bank.down = false
      bank.provider.charge = charge
      clock.advance(61_000)
      expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
      await use(1020)
      bank.down = true
      expect(await billing.subscriptions.cancel(scope, id, { when: 'now' })).toMatchObject({ status: 'canceled' })
      bank.down = false
      clock.advance(61_000)
      expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
      expect((await billing.invoices.list(scope, { status: 'open' })).data).toEqual([])
      expect(logger.entries.map((entry) => entry.message)).toEqual(Array(2).fill('a payment has no answer yet'))
    })

    it('a clock that is behind the one that renewed loses no use and no time', async () => {
      const { scope, use, billing, clock } = setUp('2035-01-01T00:00:00Z')
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      clock.set('2035-02-01T00:00:01Z')
      await billing.runDueWork()
      await use(1020)
      clock.set('2035-01-31T23:59:58Z')
      const begun = at('2035-02-01T00:00:00Z')
      expect(await billing.subscriptions.change(scope, id, { interval: 'year' })).toMatchObject({
        anchor: begun,
        currentPeriodStart: begun,
      })
      expect((await billing.entitlements.check(scope.tenantId, 'requests')).used).toBe(1020)
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
      const [last] = (await billing.invoices.list(scope)).data
      expect(last).toMatchObject({ reason: 'subscription_end', total: 10, periodStart: begun, periodEnd: begun })
    })

    it('a change that is paid after the old period’s end loses no use', async () => {
      const bank = network()
      const { scope, use, billing, clock } = setUp('2037-01-01T00:00:00Z', bank.provider)
      const { id } = await billing.subscriptions.create(scope, { plan: 'pro' })
      clock.set('2037-01-31T23:59:59Z')
      bank.down = true
      await expect(billing.subscriptions.change(scope, id, { interval: 'year' })).rejects.toMatchObject({ status: 503 })
      clock.set('2037-02-01T00:00:01Z')
      await use(1500)
      bank.down = false
      clock.advance(61_000)
      expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
      expect(await billing.subscriptions.get(scope, id)).toMatchObject({ interval: 'year', pendingInvoiceId: null })
      expect((await billing.usage.summary(scope)).meters[0]).toMatchObject({ used: 1500, overage: 500 })
      expect(await use(1)).toMatchObject({ used: 1501 })
      expect(await billing.verify()).toMatchObject({ ok: true })
      await billing.subscriptions.cancel(scope, id, { when: 'now' })
    })

    it('a key with another quantity is refused in a batch too, and nothing of the batch is kept', async () => {
      const { scope, billing } = setUp('2036-01-01T00:00:00Z')
      const entry = (idempotencyKey: string, quantity: number) => ({
        ...scope,
        meter: 'requests' as const,
        idempotencyKey,
        quantity,
      })
      await billing.usage.recordBatch([entry('a', 1)])
      for (const batch of [
        [entry('b', 1), entry('a', 2)],
        [entry('b', 1), entry('b', 2)],
      ]) {
        const refused = billing.usage.recordBatch(batch)
        await expect(refused).rejects.toMatchObject({ code: 'idempotency_conflict', status: 409 })
      }
      expect((await billing.usage.summary(scope)).meters[0]?.used).toBe(1)
    })
  })
}

it('a provider that hangs keeps nobody else waiting', async () => {
  const clock = fakeClock('2026-01-01T00:00:00Z')
  let hanging = false
  const provider: PaymentProvider = {
    ...localProvider(),
    inProcess: false,
    charge: (request) =>
      hanging && request.tenantId === 'stuck' ? new Promise(() => {}) : localProvider().charge(request),
  }
  const { billing } = billingOn(memoryStorage(), { clock, provider })
  for (const tenantId of ['stuck', 'fine']) await billing.subscriptions.create({ tenantId }, { plan: 'starter' })
  hanging = true
  clock.set('2026-02-01T00:00:00Z')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const work = billing.runDueWork()
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await work).toMatchObject({ renewed: 1, failed: 1 })
  } finally {
    vi.useRealTimers()
  }
  hanging = false
  clock.advance(61_000)
  expect(await billing.runDueWork()).toMatchObject({ settled: 1, failed: 0 })
})
