/** Periods, proration and prices: examples, and what holds for all of them. Bug 15 of others: time zones and DST. */

import { billingPeriod, priceUsage, prorate } from '@org/billing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { at } from './kit.js'

const day = 24 * 60 * 60 * 1000
const time = fc.integer({ min: at('1990-01-01T00:00:00Z'), max: at('2120-01-01T00:00:00Z') })
const unit = fc.constantFrom('day' as const, 'week' as const, 'month' as const, 'year' as const)
const text = (ms: number) => new Date(ms).toISOString()

describe('billingPeriod', () => {
  it.each([
    ['2026-01-31T10:00:00Z', '2026-02-10T00:00:00Z', '2026-01-31T10:00:00.000Z', '2026-02-28T10:00:00.000Z'],
    ['2026-01-31T10:00:00Z', '2026-02-28T10:00:00Z', '2026-02-28T10:00:00.000Z', '2026-03-31T10:00:00.000Z'],
    ['2026-01-31T10:00:00Z', '2026-04-05T00:00:00Z', '2026-03-31T10:00:00.000Z', '2026-04-30T10:00:00.000Z'],
    ['2028-01-31T00:00:00Z', '2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000Z', '2028-03-31T00:00:00.000Z'],
    ['2026-03-15T09:00:00Z', '2026-03-15T08:59:59.999Z', '2026-02-15T09:00:00.000Z', '2026-03-15T09:00:00.000Z'],
    // Before the anchor.
    ['2026-03-31T00:00:00Z', '2025-02-28T00:00:00Z', '2025-02-28T00:00:00.000Z', '2025-03-31T00:00:00.000Z'],
    // Across both changes of the clocks of Europe and America: always UTC.
    ['2026-03-01T02:30:00Z', '2026-03-29T02:30:00Z', '2026-03-01T02:30:00.000Z', '2026-04-01T02:30:00.000Z'],
  ])('a month from %s holds %s', (anchor, when, start, end) => {
    const period = billingPeriod({ anchor: at(anchor), interval: 'month', at: at(when) })
    expect([text(period.start), text(period.end)]).toEqual([start, end])
  })

  it('keeps Feb 29 for leap years, and counts several months as one period', () => {
    const years = (when: string) =>
      billingPeriod({ anchor: new Date('2024-02-29'), interval: 'year', at: new Date(when) })
    expect(text(years('2026-01-01').end)).toBe('2026-02-28T00:00:00.000Z')
    expect(text(years('2028-02-29').start)).toBe('2028-02-29T00:00:00.000Z')
    const quarter = billingPeriod({
      anchor: at('2025-11-30T00:00:00Z'),
      interval: 'month',
      intervalCount: 3,
      at: at('2026-02-28T00:00:00Z'),
    })
    expect([text(quarter.start), text(quarter.end)]).toEqual(['2026-02-28T00:00:00.000Z', '2026-05-30T00:00:00.000Z'])
  })

  it('tiles the time line for every anchor and interval', () => {
    fc.assert(
      fc.property(time, time, unit, fc.integer({ min: 1, max: 24 }), (anchor, when, interval, intervalCount) => {
        const input = { anchor, interval, intervalCount }
        const period = billingPeriod({ ...input, at: when })
        expect(period.start).toBeLessThanOrEqual(when)
        expect(period.end).toBeGreaterThan(when)
        expect(billingPeriod({ ...input, at: period.start })).toEqual(period)
        expect(billingPeriod({ ...input, at: period.end - 1 })).toEqual(period)
        expect(billingPeriod({ ...input, at: period.end }).start).toBe(period.end)
        expect(billingPeriod({ ...input, at: period.start - 1 }).end).toBe(period.start)
      }),
    )
  })

  it('counts every boundary from the anchor: the day of month returns whenever the month has it', () => {
    fc.assert(
      fc.property(time, fc.integer({ min: -300, max: 300 }), (anchor, n) => {
        const from = new Date(anchor)
        const month = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + n, 1))
        const days = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 0)).getUTCDate()
        const boundary = month.getTime() + (Math.min(from.getUTCDate(), days) - 1) * day + (anchor % day)
        expect(billingPeriod({ anchor, interval: 'month', at: boundary }).start).toBe(boundary)
      }),
    )
  })

  it('refuses what is no time', () => {
    expect(() => billingPeriod({ anchor: Number.NaN, interval: 'month', at: 0 })).toThrow(/anchor/)
    expect(() => billingPeriod({ anchor: 0, interval: 'month', intervalCount: 0, at: 0 })).toThrow(/intervalCount/)
    expect(() => billingPeriod({ anchor: 0, interval: 'month', at: new Date('nonsense') })).toThrow(/at/)
  })
})

describe('prorate', () => {
  it.each([
    [3000, 0, 30, 15, 1500],
    [1000, 0, 3, 1, 667],
    [1, 0, 2, 1, 1],
    [-1, 0, 2, 1, -1],
    [-1000, 0, 3, 2, -333],
    [5, 0, 10, 5, 3],
    // Outside of the period: its nearer end.
    [3000, 10, 20, 0, 3000],
    [3000, 10, 20, 25, 0],
  ])('%i over [%i, %i) from %i is %i', (amount, start, end, from, expected) => {
    expect(prorate({ amount, start, end, from })).toBe(expected)
  })

  it('takes dates, and is exact where floating point is not', () => {
    const july = { start: new Date('2026-07-01'), end: new Date('2026-08-01') }
    expect(prorate({ amount: 3100, ...july, from: new Date('2026-07-31') })).toBe(100)
    expect(prorate({ amount: Number.MAX_SAFE_INTEGER, start: 0, end: 3 * 10 ** 12, from: 1 })).toBe(
      Number((BigInt(Number.MAX_SAFE_INTEGER) * (3n * 10n ** 12n - 1n)) / (3n * 10n ** 12n) + 1n),
    )
  })

  it('refuses an empty period and a broken amount', () => {
    expect(() => prorate({ amount: 1, start: 5, end: 5, from: 5 })).toThrow(/end/)
    expect(() => prorate({ amount: 0.5, start: 0, end: 5, from: 5 })).toThrow(/amount/)
  })

  const amount = fc.integer({ min: -(10 ** 12), max: 10 ** 12 })
  const span = fc.integer({ min: 1, max: 400 * day })

  it('is odd in its amount, falls with time, and is within half a unit of the exact share', () => {
    fc.assert(
      fc.property(amount, time, span, fc.nat(), fc.nat(), (whole, start, length, a, b) => {
        const period = { start, end: start + length }
        const [first, second] = [start + Math.min(a % length, b % length), start + Math.max(a % length, b % length)]
        const part = (from: number) => prorate({ amount: whole, ...period, from })
        expect(prorate({ amount: -whole, ...period, from: first }) + part(first)).toBe(0)
        expect(Math.abs(part(second))).toBeLessThanOrEqual(Math.abs(part(first)))
        const twice = 2n * (BigInt(part(first)) * BigInt(length) - BigInt(whole) * BigInt(period.end - first))
        expect(twice <= BigInt(length) && twice >= -BigInt(length)).toBe(true)
      }),
    )
  })

  it('parts of a period sum to its whole price', () => {
    fc.assert(
      fc.property(amount, time, span, fc.array(fc.nat(), { maxLength: 12 }), (whole, start, length, cuts) => {
        const end = start + length
        const points = [start, ...cuts.map((cut) => start + (cut % length)).sort((a, b) => a - b), end]
        const rest = (from: number) => prorate({ amount: whole, start, end, from })
        const parts = points.slice(1).map((to, i) => rest(points[i] ?? start) - rest(to))
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(whole)
      }),
    )
  })
})

describe('priceUsage', () => {
  const graduated = {
    model: 'graduated' as const,
    tiers: [
      { upTo: 100, unitAmount: 10 },
      { upTo: 1000, unitAmount: 5, flatAmount: 200 },
      { upTo: null, unitAmount: 1 },
    ],
  }

  it.each([
    [{ model: 'flat', amount: 500 } as const, 0, 500],
    [{ model: 'flat', amount: 500 } as const, 7, 500],
    [{ model: 'per_unit', unitAmount: 3 } as const, 0, 0],
    [{ model: 'per_unit', unitAmount: 3 } as const, 7, 21],
    [{ model: 'per_unit', unitAmount: 50, per: 1000 } as const, 1, 0],
    [{ model: 'per_unit', unitAmount: 50, per: 1000 } as const, 10, 1],
    [{ model: 'per_unit', unitAmount: 50, per: 1000 } as const, 12_345, 617],
    [{ model: 'package', amount: 100, size: 50 } as const, 0, 0],
    [{ model: 'package', amount: 100, size: 50 } as const, 50, 100],
    [{ model: 'package', amount: 100, size: 50 } as const, 51, 200],
    [graduated, 0, 0],
    [graduated, 100, 1000],
    [graduated, 101, 1205],
    [graduated, 1001, 1000 + 200 + 4500 + 1],
    [{ ...graduated, model: 'volume' } as const, 0, 0],
    [{ ...graduated, model: 'volume' } as const, 100, 1000],
    [{ ...graduated, model: 'volume' } as const, 101, 705],
    [{ ...graduated, model: 'volume' } as const, 2000, 2000],
  ])('%j × %i = %i', (price, quantity, expected) => {
    const priced = priceUsage(price, quantity)
    expect(priced.amount).toBe(expected)
    expect(priced.lines.reduce((sum, line) => sum + line.amount, 0)).toBe(expected)
  })

  it('points at what is wrong with a price or a quantity', () => {
    const tiers = [{ upTo: 10 }, { upTo: 5 }, { upTo: null }]
    expect(() => priceUsage({ model: 'graduated', tiers }, 1)).toThrow('/price/tiers/1/upTo: must be more than 10')
    expect(() => priceUsage({ model: 'volume', tiers: [{ upTo: 10 }] }, 1)).toThrow('/price/tiers/0/upTo: the last')
    expect(() => priceUsage({ model: 'per_unit', unitAmount: 1 }, -1)).toThrow('/quantity')
    expect(() => priceUsage({ model: 'per_unit', unitAmount: 1 }, 1.5)).toThrow('/quantity')
    const dear = { model: 'per_unit' as const, unitAmount: Number.MAX_SAFE_INTEGER }
    expect(() => priceUsage(dear, 2)).toThrow(/more than can be billed exactly/)
  })

  const tier = fc.record({
    width: fc.integer({ min: 1, max: 500 }),
    unitAmount: fc.nat(1000),
    per: fc.integer({ min: 1, max: 100 }),
    flatAmount: fc.nat(1000),
  })
  const tiers = fc.array(tier, { minLength: 1, maxLength: 6 }).map((list) => {
    const ends = list.map((_, i) => list.slice(0, i + 1).reduce((sum, { width }) => sum + width, 0))
    return list.map(({ width: _, ...rest }, i) => ({ ...rest, upTo: i === list.length - 1 ? null : (ends[i] ?? null) }))
  })

  it('lines reconcile with the amount, and graduated and volume lines with the quantity', () => {
    fc.assert(
      fc.property(tiers, fc.nat(5000), (list, quantity) => {
        for (const model of ['graduated', 'volume'] as const) {
          const { amount, lines } = priceUsage({ model, tiers: list }, quantity)
          expect(lines.reduce((sum, line) => sum + line.amount, 0)).toBe(amount)
          expect(lines.reduce((sum, line) => sum + line.quantity, 0)).toBe(quantity)
          expect(amount).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })

  it('graduated never costs less for more, and with one tier equals per unit', () => {
    fc.assert(
      fc.property(tiers, fc.nat(5000), fc.nat(5000), (list, a, b) => {
        const cost = (quantity: number) => priceUsage({ model: 'graduated', tiers: list }, quantity).amount
        expect(cost(Math.max(a, b))).toBeGreaterThanOrEqual(cost(Math.min(a, b)))
        const { unitAmount, per } = list[0] ?? { unitAmount: 0, per: 1 }
        const one = priceUsage({ model: 'volume', tiers: [{ upTo: null, unitAmount, per }] }, a)
        expect(one.amount).toBe(priceUsage({ model: 'per_unit', unitAmount, per }, a).amount)
      }),
    )
  })
})
