/** What the engine concludes about an endpoint: its circuit, and what is left of its limits. Pure functions all. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterAttempts, bucketAfter, healthy, roomOf, type Tally } from '../src/endpoints/health.js'

const start = 1_767_225_600_000
const well = healthy({ id: 'ep_1', tenantId: 't1' })
const unlimited = { rateLimit: null, maxInFlight: null }
const failed = (count: number): Tally => ({ failed: count, succeeded: 0, probeFailed: false })
const probeFailed: Tally = { failed: 1, succeeded: 0, probeFailed: true }
const succeeded: Tally = { failed: 0, succeeded: 1, probeFailed: false }

describe('the circuit of an endpoint', () => {
  it('opens with the tenth failure in a row, for half a minute', () => {
    const nine = afterAttempts(well, failed(9), start)
    expect(nine).toMatchObject({ failures: 9, failingSince: start, openUntil: null, opened: 0 })
    const ten = afterAttempts(nine, failed(1), start + 5)
    expect(ten).toMatchObject({ failures: 10, failingSince: start, openUntil: start + 5 + 30_000, opened: 1 })
  })

  it('begins to count anew after a success', () => {
    const nine = afterAttempts(well, failed(9), start)
    const again = afterAttempts(afterAttempts(nine, succeeded, start), failed(9), start + 5)
    expect(again).toMatchObject({ failures: 9, failingSince: start + 5, openUntil: null })
  })

  it('lets one attempt through when the time is up, and none before', () => {
    const open = { ...well, failures: 10, openUntil: start, opened: 1 }
    expect(roomOf(unlimited, open, 0, 50, start - 1)).toEqual({ room: 0, probe: false, until: start })
    expect(roomOf(unlimited, open, 0, 50, start)).toEqual({ room: 1, probe: true, until: start })
    expect(roomOf(unlimited, well, 0, 50, start)).toEqual({ room: 50, probe: false, until: start })
  })

  it('stays open twice as long each time that this one fails, up to ten minutes', () => {
    let health = afterAttempts(well, failed(10), start)
    const seconds: number[] = []
    for (let n = 0; n < 7; n++) {
      const now = health.openUntil ?? Number.NaN
      health = afterAttempts(health, probeFailed, now)
      seconds.push(((health.openUntil ?? Number.NaN) - now) / 1000)
    }
    expect(seconds).toEqual([60, 120, 240, 480, 600, 600, 600])
  })

  it('is not moved by what was under way when it opened', () => {
    const open = afterAttempts(well, failed(10), start)
    const later = afterAttempts(open, failed(30), start + 10_000)
    expect(later).toEqual({ ...open, failures: 40 })
  })

  it('closes with one success, whatever failed beside it, and keeps the books of the rate limit', () => {
    const open = { ...afterAttempts(well, failed(10), start), bucketAt: 7 }
    expect(afterAttempts(open, { failed: 3, succeeded: 1, probeFailed: true }, start)).toEqual({ ...well, bucketAt: 7 })
  })
})

it('what is in flight takes its places, and more of it than allowed leaves none', () => {
  const capped = { rateLimit: null, maxInFlight: 5 }
  expect([0, 3, 5, 9].map((inFlight) => roomOf(capped, well, inFlight, 50, start).room)).toEqual([5, 2, 0, 0])
  expect(roomOf(capped, well, 0, 2, start).room).toBe(2)
})

const rateLimits = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 1_000_000 })),
  periodMs: fc.oneof(fc.constantFrom(1_000, 60_000), fc.integer({ min: 1_000, max: 86_400_000 })),
})
/** How much of a period passes, and how many are wanted then. */
const steps = fc.array(fc.record({ share: fc.double({ min: 0, max: 1.5, noNaN: true }), wanted: fc.nat(120) }), {
  maxLength: 60,
})

describe('the rate limit of an endpoint', () => {
  const taking = (
    rateLimit: { limit: number; periodMs: number },
    asked: readonly { share: number; wanted: number }[],
    look: (taken: { time: number; count: number }[], room: number) => void,
  ) => {
    const taken: { time: number; count: number }[] = []
    let now = start
    let bucketAt = 0
    for (const { share, wanted } of asked) {
      now += Math.floor(share * Math.max(1, (rateLimit.periodMs * 10) / rateLimit.limit))
      const { room } = roomOf({ rateLimit, maxInFlight: null }, { ...well, bucketAt }, 0, wanted, now)
      bucketAt = bucketAfter(rateLimit, bucketAt, room, now)
      taken.push({ time: now, count: room })
      look(taken, room)
    }
  }

  it('never leaves more than was wanted, nor less than nothing', () => {
    fc.assert(
      fc.property(rateLimits, fc.nat(2_000_000), fc.integer({ min: -90_000_000, max: 90_000_000 }), (...drawn) => {
        const [rateLimit, wanted, bucketShift] = drawn
        const health = { ...well, bucketAt: start + bucketShift }
        const { room, until } = roomOf({ rateLimit, maxInFlight: null }, health, 0, wanted, start)
        expect(room).toBeGreaterThanOrEqual(0)
        expect(room).toBeLessThanOrEqual(Math.min(wanted, rateLimit.limit))
        expect(Number.isInteger(room)).toBe(true)
        expect(until).toBeGreaterThanOrEqual(start)
      }),
    )
  })

  it('is never passed in any period, wherever that begins', () => {
    fc.assert(
      fc.property(rateLimits, steps, (rateLimit, asked) => {
        const { limit, periodMs } = rateLimit
        taking(rateLimit, asked, (taken) => {
          const { time: last } = taken.at(-1) ?? { time: start }
          const within = taken.filter(({ time }) => time > last - periodMs)
          expect(within.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(limit)
        })
      }),
    )
  })

  it('is nearly used up by whoever always has something to send', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.constantFrom(60_000, 3_600_000), (limit, periodMs) => {
        const rateLimit = { limit, periodMs }
        let now = start
        let bucketAt = 0
        let late = 0
        while (now < start + 3 * periodMs) {
          const { room, until } = roomOf({ rateLimit, maxInFlight: null }, { ...well, bucketAt }, 0, 99, now)
          bucketAt = bucketAfter(rateLimit, bucketAt, room, now)
          if (now >= start + periodMs) late += room
          now = Math.max(until, now + 1)
        }
        expect(late / 2).toBeGreaterThanOrEqual(Math.floor(limit * 0.9))
      }),
      { numRuns: 50 },
    )
  })

  it('says when the next may go: not a moment too soon, and then there is room', () => {
    fc.assert(
      fc.property(rateLimits, (rateLimit) => {
        const bucketAt = bucketAfter(rateLimit, 0, rateLimit.limit, start)
        const room = (now: number) => roomOf({ rateLimit, maxInFlight: null }, { ...well, bucketAt }, 0, 9, now).room
        const { until } = roomOf({ rateLimit, maxInFlight: null }, { ...well, bucketAt }, 0, 9, start)
        expect(until).toBeGreaterThan(start)
        expect(room(until - 1)).toBe(0)
        // A fraction of a millisecond is lost to the numbers' precision at the most.
        expect(room(until + 1)).toBeGreaterThan(0)
      }),
    )
  })

  it('fills its bucket the further the more is taken, the later, and the fuller it was', () => {
    const moment = fc.integer({ min: start - 90_000_000, max: start + 90_000_000 })
    fc.assert(
      fc.property(rateLimits, moment, fc.nat(100), moment, fc.nat(1_000), (rateLimit, bucketAt, taken, now, more) => {
        const filled = bucketAfter(rateLimit, bucketAt, taken, now)
        expect(Number.isInteger(filled)).toBe(true)
        expect(filled).toBeGreaterThanOrEqual(Math.max(bucketAt, now))
        expect(bucketAfter(rateLimit, bucketAt, taken + more, now)).toBeGreaterThanOrEqual(filled)
        expect(bucketAfter(rateLimit, bucketAt, taken, now + more)).toBeGreaterThanOrEqual(filled)
        expect(bucketAfter(rateLimit, bucketAt + more, taken, now)).toBeGreaterThanOrEqual(filled)
        expect(bucketAfter(null, bucketAt, taken, now)).toBe(bucketAt)
      }),
    )
  })
})
