/** Many at once, on every real database, through two instances as two processes have. Numbers: bugs of others. */
import type { Invoice } from '@org/billing'
import { fakeClock } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { billingOn, places, type World } from './kit.js'

const settled = <T>(work: Promise<T>[]) => Promise.allSettled(work)
const codes = (results: PromiseSettledResult<unknown>[]) =>
  results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as { code?: string }).code ?? result.reason] : [],
  )

for (const place of places) {
  describe.skipIf(place.missing)(`many at once on ${place.name}`, () => {
    let world: World
    const clock = fakeClock('2026-01-31T00:00:00Z')
    beforeAll(async () => {
      world = await place.open()
    })
    afterAll(() => world?.close())

    const two = () => {
      const [one, other] = [billingOn(world.storage, { clock }), billingOn(world.second(), { clock })]
      return { one, other, any: (i: number) => (i % 2 ? one : other).billing }
    }

    it('bug 6: twenty creations make one live subscription', async () => {
      const { any, one } = two()
      const scope = { tenantId: 'crowd' }
      const results = await settled(
        Array.from({ length: 20 }, (_, i) => any(i).subscriptions.create(scope, { plan: 'starter' })),
      )
      expect(codes(results)).toEqual(Array(19).fill('subscription_exists'))
      expect((await one.billing.subscriptions.list(scope)).data).toHaveLength(1)
      expect((await one.billing.invoices.list(scope)).data).toHaveLength(1)
    })

    it('bug 9: fifty finalisations at once give numbers without gaps', async () => {
      const { any, one } = two()
      const before = (await one.billing.verify()).numbers.last
      const drafts: Invoice[] = []
      for (let i = 0; i < 50; i++) {
        drafts.push(
          await one.billing.invoices.create({ tenantId: `n${i % 7}` }, { lines: [{ description: 'x', amount: 100 }] }),
        )
      }
      // Every fifth one is rolled back after its number was taken.
      const results = await settled(
        drafts.map(({ id, tenantId }, i) => {
          if (i % 5 !== 0) return any(i).invoices.finalize({ tenantId }, id)
          return world.transaction(async (tx) => {
            await one.billing.invoices.finalize({ tenantId, tx }, id)
            throw new Error('rolled back')
          })
        }),
      )
      const numbers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.number] : []))
      const expected = Array.from({ length: 40 }, (_, i) => `INV-${String(before + i + 1).padStart(6, '0')}`)
      expect(numbers.sort()).toEqual(expected)
      const later = await Promise.all(
        drafts.filter((_, i) => i % 5 === 0).map(({ id, tenantId }, i) => any(i).invoices.finalize({ tenantId }, id)),
      )
      expect(new Set(later.map((invoice) => invoice.number)).size).toBe(10)
      expect(await one.billing.verify()).toMatchObject({
        ok: true,
        numbers: { last: before + 50, numbered: before + 50 },
      })
    })

    it('bug 9: two schedulers at once bill each period once', async () => {
      const { one, other } = two()
      for (let i = 0; i < 25; i++) {
        const scope = { tenantId: `s${i}` }
        await one.billing.subscriptions.create(scope, { plan: 'pro' })
        await one.billing.usage.record({ tenantId: scope.tenantId, meter: 'requests', quantity: 1000 + 10 * i })
      }
      clock.set('2026-04-01T00:00:00Z')
      const done = await Promise.all([one, other, one, other].map(({ billing }) => billing.runDueWork()))
      const sum = (of: 'renewed' | 'failed') => done.reduce((all, work) => all + work[of], 0)
      // The subscription of the first test is due as well.
      expect([sum('renewed'), sum('failed')]).toEqual([26 * 2, 0])
      for (let i = 0; i < 25; i++) {
        const { data } = await one.billing.invoices.list({ tenantId: `s${i}` })
        // Ids of two processes within one millisecond are in no order.
        expect(data.map((invoice) => [invoice.total, invoice.status]).sort()).toEqual([
          [3000, 'paid'],
          [3000, 'paid'],
          [3000 + 5 * i, 'paid'],
        ])
      }
      expect(await one.billing.verify()).toMatchObject({ ok: true })
    })

    it('a hard limit is exact: of sixty uses at once, the ten that fit pass', async () => {
      const { any, one, other } = two()
      const tenantId = 'limit'
      const meter = 'requests' as const
      const results = await settled(Array.from({ length: 60 }, (_, i) => any(i).usage.record({ tenantId, meter })))
      expect(codes(results)).toEqual(Array(50).fill('quota_exceeded'))
      expect((await one.billing.entitlements.check(tenantId, meter)).used).toBe(10)
      const told = [...one.types(), ...other.types()]
      expect(told.sort()).toEqual(['alert.triggered', 'alert.triggered', 'quota.exceeded'])
      expect(await one.billing.verify()).toMatchObject({ ok: true })
    })

    it('one key sent twenty times at once counts once', async () => {
      const { any, one } = two()
      const use = { tenantId: 'twins', meter: 'requests' as const, quantity: 2, idempotencyKey: 'k' }
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => any(i).usage.record(use)))
      expect(results.filter((result) => !result.duplicate)).toHaveLength(1)
      expect(new Set(results.map((result) => result.eventId)).size).toBe(1)
      expect((await one.billing.entitlements.check(use.tenantId, 'requests')).used).toBe(2)
    })

    it('batches with the same keys in opposite order do not wait for each other for ever', async () => {
      const { one } = two()
      await one.billing.subscriptions.create({ tenantId: 'crossed' }, { plan: 'pro' })
      await one.billing.usage.record({ tenantId: 'crossed', meter: 'requests' })
      // Connected beforehand, so that they run side by side.
      await Promise.all(
        Array.from({ length: 8 }, () =>
          world.transaction((tx) => one.billing.customers.ensure({ tenantId: 'crossed', tx })),
        ),
      )
      // More than one INSERT takes.
      const batch = Array.from({ length: 300 }, (_, i) => ({
        tenantId: 'crossed',
        meter: 'requests' as const,
        idempotencyKey: `k${i}`,
      }))
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          // In transactions of the host's: nobody tries those again.
          world.transaction((tx) => one.billing.usage.recordBatch(i % 2 ? batch : batch.toReversed(), { tx })),
        ),
      )
      expect(results.reduce((sum, result) => sum + result.recorded, 0)).toBe(300)
      expect((await one.billing.entitlements.check('crossed', 'requests')).used).toBe(301)
    })

    it('uses during a renewal are billed in the one period or in the other', async () => {
      const { one, other } = two()
      const scope = { tenantId: 'edge' }
      const own = fakeClock('2026-06-01T00:00:00Z')
      const [a, b] = [billingOn(world.storage, { clock: own }), billingOn(world.second(), { clock: own })]
      await a.billing.subscriptions.create(scope, { plan: 'pro' })
      own.set('2026-07-01T00:00:00Z')
      const late = { tenantId: scope.tenantId, meter: 'requests' as const, quantity: 1000, time: own.now() - 1 }
      const results = await settled<unknown>([
        ...Array.from({ length: 10 }, () => a.billing.usage.record(late)),
        b.billing.runDueWork(),
        ...Array.from({ length: 10 }, () => a.billing.usage.record(late)),
      ])
      expect(new Set(codes(results))).toEqual(codes(results).length > 0 ? new Set(['invalid_input']) : new Set())
      const counted = results.filter((result) => result.status === 'fulfilled').length - 1
      const [invoice] = (await one.billing.invoices.list(scope)).data
      const billed = invoice?.lines.find((line) => line.kind === 'usage')?.quantity ?? 0
      expect(billed).toBe(Math.max(0, counted * 1000 - 1000))
      expect(await other.billing.verify()).toMatchObject({ ok: true })
    })

    it('upgrades at once: one is charged, the others find it done', async () => {
      const { any, one } = two()
      const scope = { tenantId: 'upgrade' }
      const { id } = await one.billing.subscriptions.create(scope, { plan: 'starter' })
      const results = await settled(
        Array.from({ length: 8 }, (_, i) => any(i).subscriptions.change(scope, id, { plan: 'pro' })),
      )
      expect(codes(results)).toEqual(Array(7).fill('no_change'))
      const { data } = await one.billing.invoices.list(scope)
      expect(data.map((invoice) => invoice.amountPaid).sort()).toEqual([1000, 2000])
    })
  })
}
