/** Metering, on every storage. Numbers are those of the bugs of others. */
import { fakeClock } from '@org/core/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, billingOn, places, type World } from './kit.js'

let tenants = 0
const fresh = () => `u${++tenants}`

for (const place of places) {
  describe.skipIf(place.missing)(`usage on ${place.name}`, () => {
    let world: World
    beforeAll(async () => {
      world = await place.open({ pool: 1 })
    })
    afterAll(() => world?.close())

    const setUp = (start = '2026-04-10T00:00:00Z') => {
      const tenantId = fresh()
      const made = billingOn(world.storage, { clock: fakeClock(start) })
      const use = (quantity = 1, more: { idempotencyKey?: string; time?: number | Date } = {}) =>
        made.billing.usage.record({ tenantId, meter: 'requests', quantity, ...more })
      return { tenantId, scope: { tenantId }, use, ...made }
    }

    it('counts within the default plan by the calendar month', async () => {
      const { tenantId, use, billing, clock } = setUp()
      expect(await use(4)).toEqual({
        eventId: expect.stringMatching(/^use_/),
        duplicate: false,
        meter: 'requests',
        used: 4,
        limit: 10,
        remaining: 6,
        enforced: true,
        windowStart: at('2026-04-01T00:00:00Z'),
        resetsAt: at('2026-05-01T00:00:00Z'),
      })
      expect(await billing.entitlements.check(tenantId, 'requests')).toEqual({
        feature: 'requests',
        allowed: true,
        value: null,
        limit: 10,
        used: 4,
        remaining: 6,
        resetsAt: at('2026-05-01T00:00:00Z'),
        reason: 'included',
      })
      clock.set('2026-05-01T00:00:00Z')
      expect(await use(10)).toMatchObject({ used: 10, remaining: 0 })
    })

    it('counts a key once, whoever sends it again, and refuses it for something else', async () => {
      const { tenantId, use, billing } = setUp()
      const first = await use(3, { idempotencyKey: 'k' })
      expect(await use(3, { idempotencyKey: 'k' })).toEqual({ ...first, duplicate: true })
      await expect(use(4, { idempotencyKey: 'k' })).rejects.toMatchObject({ code: 'idempotency_conflict', status: 409 })
      // Another tenant's key is another key.
      const other = fresh()
      const elsewhere = await billing.usage.record({
        tenantId: other,
        meter: 'requests',
        quantity: 5,
        idempotencyKey: 'k',
      })
      expect(elsewhere).toMatchObject({ duplicate: false, used: 5 })
      expect((await billing.entitlements.check(tenantId, 'requests')).used).toBe(3)
    })

    it('bug 14: what the quota refuses is not kept, neither event nor count', async () => {
      const { tenantId, use, billing, clock } = setUp()
      await use(9)
      const refused = await use(2, { idempotencyKey: 'k' }).catch((error: unknown) => error)
      expect(refused).toMatchObject({
        code: 'quota_exceeded',
        status: 429,
        extensions: { feature: 'requests', limit: 10, used: 9, remaining: 1, resetsAt: '2026-05-01T00:00:00.000Z' },
        headers: { 'retry-after': String((at('2026-05-01T00:00:00Z') - clock.now()) / 1000) },
      })
      expect((await billing.entitlements.check(tenantId, 'requests')).used).toBe(9)
      expect(await billing.verify()).toMatchObject({ ok: true })
      // The key is free for a use that fits.
      expect(await use(1, { idempotencyKey: 'k' })).toMatchObject({ duplicate: false, used: 10, remaining: 0 })
    })

    it('alerts once for each threshold and window, and tells once that the quota is used up', async () => {
      const { use, types, heard, clock } = setUp()
      await use(4)
      expect(types()).toEqual([])
      await use(5)
      expect(heard.map((event) => [event.type, event.data.threshold])).toEqual([
        ['alert.triggered', 0.5],
        ['alert.triggered', 0.8],
      ])
      await use(1)
      expect(heard.at(-1)).toMatchObject({
        type: 'quota.exceeded',
        resource: { type: 'meter', id: 'requests' },
        data: { meter: 'requests', plan: 'free', used: 10, limit: 10, refused: false },
      })
      for (let i = 0; i < 3; i++) await expect(use(1)).rejects.toMatchObject({ code: 'quota_exceeded' })
      expect(types()).toHaveLength(3)
      clock.set('2026-05-02T00:00:00Z')
      await use(10)
      expect(types()).toHaveLength(6)
    })

    it('a refusal before the quota is used up is told once as well', async () => {
      const { use, heard, types } = setUp()
      for (let i = 0; i < 3; i++) await expect(use(11)).rejects.toMatchObject({ code: 'quota_exceeded' })
      expect(heard).toMatchObject([{ type: 'quota.exceeded', data: { used: 0, limit: 10, refused: true } }])
      await use(10)
      expect(types()).toEqual(['quota.exceeded', 'alert.triggered', 'alert.triggered'])
    })

    it('tells of thresholds once, also when uses are taken back and come again', async () => {
      const { scope, use, types, billing } = setUp()
      await use(4)
      const { eventId } = await use(1)
      expect(await billing.usage.withdraw(scope, eventId)).toBe(true)
      expect(await billing.usage.withdraw(scope, eventId)).toBe(false)
      expect(await billing.usage.withdraw({ tenantId: 'another' }, (await use(1)).eventId)).toBe(false)
      expect(types()).toEqual(['alert.triggered'])
      expect((await billing.usage.summary(scope)).meters[0]?.used).toBe(5)
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('an upgrade brings its own limit and thresholds at once', async () => {
      const { tenantId, scope, use, types, billing } = setUp()
      await billing.subscriptions.create(scope, { plan: 'starter' })
      await use(100)
      await expect(use(1)).rejects.toMatchObject({ code: 'quota_exceeded' })
      const { id } = (await billing.subscriptions.current(scope)) ?? { id: '' }
      await billing.subscriptions.change(scope, id, { plan: 'pro' })
      const seen = types().length
      expect(await use(900)).toMatchObject({ used: 1000, limit: 1000, remaining: 0, enforced: false })
      expect(types().slice(seen)).toEqual(['quota.exceeded'])
      expect(await billing.entitlements.check(tenantId, 'requests', { needed: 50 })).toMatchObject({
        allowed: true,
        reason: 'overage',
      })
      expect(await use(11)).toMatchObject({ used: 1011, remaining: 0 })
      expect(types().slice(seen)).toEqual(['quota.exceeded'])
      expect((await billing.usage.summary(scope)).meters).toEqual([
        { meter: 'requests', used: 1011, limit: 1000, remaining: 0, overage: 11, overageAmount: 6 },
        { meter: 'emails', used: 0, limit: null, remaining: null, overage: 0, overageAmount: 0 },
      ])
    })

    it('says what is missing: another plan, no plan, or a name', async () => {
      const { tenantId, billing } = setUp()
      const record = (meter: string) => billing.usage.record({ tenantId, meter: meter as 'requests' })
      await expect(record('emails')).rejects.toMatchObject({
        code: 'plan_required',
        status: 402,
        extensions: { plans: ['pro'] },
      })
      await expect(record('exports')).rejects.toMatchObject({ code: 'feature_unavailable', status: 403 })
      await expect(record('mails')).rejects.toMatchObject({
        status: 422,
        errors: [{ pointer: '/meter', detail: 'unknown value "mails"; known values: requests, emails, exports' }],
      })
      for (const wrong of [
        { quantity: 0 },
        { quantity: -1 },
        { quantity: 1.5 },
        { quantity: Number.NaN },
        { qty: 1 },
        { idempotencyKey: 'a\u0000b' },
        { tenantId: '' },
      ]) {
        const input = { tenantId, meter: 'requests' as const, ...wrong }
        await expect(billing.usage.record(input)).rejects.toMatchObject({ code: 'invalid_input' })
      }
    })

    it('joins the transaction of the host: kept if and only if that commits', async () => {
      const { tenantId, billing, types } = setUp()
      const meter = 'requests'
      const failing = world.transaction(async (tx) => {
        await billing.usage.record({ tenantId, meter, quantity: 10, idempotencyKey: 'k' }, { tx })
        expect((await billing.entitlements.check(tenantId, meter, { tx })).used).toBe(10)
        throw new Error('the host changed its mind')
      })
      await expect(failing).rejects.toThrow('changed its mind')
      expect((await billing.entitlements.check(tenantId, meter)).used).toBe(0)
      await world.transaction(async (tx) => {
        await billing.usage.record({ tenantId, meter, quantity: 9, idempotencyKey: 'k' }, { tx })
        // A refusal leaves the host's transaction usable.
        const refused = billing.usage.record({ tenantId, meter, quantity: 2 }, { tx })
        await expect(refused).rejects.toMatchObject({ code: 'quota_exceeded' })
        await billing.usage.record({ tenantId, meter, quantity: 1 }, { tx })
      })
      expect((await billing.entitlements.check(tenantId, meter)).used).toBe(10)
      expect(types().filter((type) => type === 'quota.exceeded')).toHaveLength(2)
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('a sink that throws takes the use back; at a refusal it is logged, and the refusal stands', async () => {
      const tenantId = fresh()
      const { billing, logger } = billingOn(world.storage, {
        events: () => {
          throw new Error('no')
        },
      })
      const meter = 'requests'
      await expect(billing.usage.record({ tenantId, meter, quantity: 9 })).rejects.toThrow('no')
      expect((await billing.entitlements.check(tenantId, meter)).used).toBe(0)
      await expect(billing.usage.record({ tenantId, meter, quantity: 11 })).rejects.toMatchObject({
        code: 'quota_exceeded',
      })
      expect(logger.entries).toMatchObject([{ level: 'error', message: 'quota.exceeded could not be emitted' }])
    })

    it('takes late uses while their window is open, and no others', async () => {
      const { scope, use, billing, clock } = setUp()
      await expect(use(1, { time: at('2026-03-31T23:59:59Z') })).rejects.toMatchObject({
        errors: [{ pointer: '/time' }],
      })
      await expect(use(1, { time: clock.now() + 6 * 60_000 })).rejects.toMatchObject({
        errors: [{ pointer: '/time', detail: 'cannot be counted: it is in the future' }],
      })
      expect(await use(1, { time: new Date('2026-04-01T00:00:00Z') })).toMatchObject({ used: 1 })
      await billing.subscriptions.create(scope, { plan: 'pro' })
      const end = at('2026-05-10T00:00:00Z')
      await use(1000)
      // The period is over, but nobody has renewed yet: a new window for what comes, the old one for what is late.
      clock.set(end + 60_000)
      expect(await use(7)).toMatchObject({ used: 7, windowStart: end })
      expect(await use(20, { time: end - 1 })).toMatchObject({ used: 1020 })
      await billing.runDueWork()
      await expect(use(20, { time: end - 1 })).rejects.toMatchObject({ errors: [{ pointer: '/time' }] })
      expect(await use(1)).toMatchObject({ used: 8 })
      const [invoice] = (await billing.invoices.list(scope)).data
      expect(invoice?.lines.map(({ kind, quantity, amount }) => [kind, quantity, amount])).toEqual([
        ['plan', 1, 3000],
        ['usage', 20, 10],
      ])
    })

    it('a clock that is behind counts into the window that is open', async () => {
      const { scope, tenantId, billing, clock } = setUp()
      await billing.subscriptions.create(scope, { plan: 'pro' })
      const slow = billingOn(world.storage, { clock: fakeClock(clock.now()) })
      clock.set('2026-05-10T00:00:01Z')
      await billing.runDueWork()
      slow.clock.set('2026-05-09T23:59:59Z')
      expect(await slow.billing.usage.record({ tenantId, meter: 'requests' })).toMatchObject({
        windowStart: at('2026-05-10T00:00:00Z'),
      })
    })

    it('records a batch as a whole or not at all', async () => {
      const { tenantId, billing, types } = setUp()
      const [a, b] = [tenantId, fresh()]
      const meter = 'requests' as const
      const batch = [
        { tenantId: b, meter, quantity: 2, idempotencyKey: '1' },
        { tenantId: a, meter, quantity: 3, idempotencyKey: '1' },
        { tenantId: a, meter, quantity: 3, idempotencyKey: '2' },
        { tenantId: a, meter, quantity: 3, idempotencyKey: '2' },
        { tenantId: a, meter },
      ]
      expect(await billing.usage.recordBatch(batch)).toEqual({ recorded: 4, duplicates: 1 })
      expect(await billing.usage.recordBatch(batch.slice(0, 4))).toEqual({ recorded: 0, duplicates: 4 })
      expect((await billing.entitlements.check(a, meter)).used).toBe(7)
      expect(types()).toEqual(['alert.triggered'])
      const tooMuch = [
        { tenantId: b, meter, quantity: 1 },
        { tenantId: a, meter, quantity: 4 },
      ]
      await expect(billing.usage.recordBatch(tooMuch)).rejects.toMatchObject({ code: 'quota_exceeded' })
      expect((await billing.entitlements.check(b, meter)).used).toBe(2)
      const misnamed = [
        { tenantId: a, meter },
        { tenantId: a, meter: 'mails' as 'emails' },
      ]
      await expect(billing.usage.recordBatch(misnamed)).rejects.toMatchObject({ errors: [{ pointer: '/1/meter' }] })
      const many = Array.from({ length: 1000 }, (_, i) => ({ tenantId: `${b}-${i % 150}`, meter }))
      expect(await billing.usage.recordBatch(many)).toEqual({ recorded: 1000, duplicates: 0 })
      expect(await billing.verify()).toMatchObject({ ok: true })
    })

    it('an overdue payment holds for its grace, and no longer', async () => {
      const { scope, tenantId, use, billing, clock } = setUp()
      await billing.subscriptions.create(scope, { plan: 'pro' })
      await billing.customers.update(scope, { paymentMethod: 'pm_declined' })
      clock.set('2026-05-10T00:00:00Z')
      expect(await billing.runDueWork()).toMatchObject({ declined: 1 })
      expect(await billing.subscriptions.current(scope)).toMatchObject({
        status: 'past_due',
        pastDueSince: clock.now(),
      })
      expect((await billing.entitlements.check(tenantId, 'sso')).allowed).toBe(true)
      await use(1)
      clock.set('2026-05-31T00:00:00Z')
      expect(await billing.entitlements.check(tenantId, 'sso')).toMatchObject({ allowed: false, reason: 'payment_due' })
      await expect(use(1)).rejects.toMatchObject({ code: 'payment_due', status: 402 })
      const [invoice] = (await billing.invoices.list(scope, { status: 'open' })).data
      await expect(billing.invoices.pay(scope, invoice?.id ?? '')).rejects.toMatchObject({
        code: 'payment_declined',
        status: 402,
      })
      await billing.customers.update(scope, { paymentMethod: null })
      expect(await billing.invoices.pay(scope, invoice?.id ?? '')).toMatchObject({ status: 'paid' })
      expect(await billing.subscriptions.current(scope)).toMatchObject({ status: 'active', pastDueSince: null })
      expect(await use(1)).toMatchObject({ used: 2 })
    })

    it('checks boolean and static features', async () => {
      const { scope, tenantId, billing } = setUp()
      const check = (feature: 'sso' | 'projects' | 'support' | 'moon', needed = 1) =>
        billing.entitlements.check(tenantId, feature, { needed })
      expect(await check('sso')).toMatchObject({
        allowed: false,
        reason: 'not_in_plan',
        limit: null,
        used: null,
        resetsAt: null,
      })
      expect(await check('projects')).toMatchObject({ allowed: true, limit: 1, value: 1 })
      expect(await check('projects', 2)).toMatchObject({ allowed: false, reason: 'limit_reached' })
      await expect(billing.entitlements.require(tenantId, 'sso')).rejects.toMatchObject({
        code: 'plan_required',
        extensions: { plans: ['pro', 'scale'] },
      })
      await expect(billing.entitlements.require(tenantId, 'projects', { needed: 50 })).rejects.toMatchObject({
        extensions: { plans: ['scale'], reason: 'limit_reached' },
      })
      await expect(billing.entitlements.require(tenantId, 'projects', { needed: 500 })).rejects.toMatchObject({
        status: 403,
      })
      await expect(billing.entitlements.require(tenantId, 'moon')).rejects.toMatchObject({
        code: 'feature_unavailable',
      })
      await billing.subscriptions.create(scope, { plan: 'pro' })
      expect(await check('sso')).toMatchObject({ allowed: true, value: true, reason: 'included' })
      expect(await check('support')).toMatchObject({ allowed: true, value: 'phone', limit: null })
      expect((await billing.entitlements.require(tenantId, 'projects', { needed: 20 })).allowed).toBe(true)
      await expect(billing.entitlements.check(tenantId, 'sos' as 'sso')).rejects.toMatchObject({
        errors: [{ pointer: '/feature', detail: expect.stringContaining('known values: sso, projects') }],
      })
    })
  })
}
