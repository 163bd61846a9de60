import { createWebhooks, defaultScheduleMs, memoryStorage } from '@org/webhooks'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jittered, parseRetryAfter, retryDelay } from '../src/delivery/backoff.js'

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('the retry schedule', () => {
  it('is the ten steps of Standard Webhooks', () => {
    const [s, min, h] = [1000, 60_000, 3_600_000]
    expect(defaultScheduleMs).toEqual([0, 5 * s, 5 * min, 30 * min, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h])
  })

  it('varies each delay by at most 20 %, both ways', () => {
    expect([jittered(1000, 0), jittered(1000, 0.5), jittered(1000, 0.999_999)]).toEqual([800, 1000, 1200])
    fc.assert(
      fc.property(fc.nat(86_400_000), chance, (delay, random) => {
        const varied = jittered(delay, random)
        expect(varied).toBeGreaterThanOrEqual(Math.floor(delay * 0.8))
        expect(varied).toBeLessThanOrEqual(Math.ceil(delay * 1.2))
        expect(Number.isInteger(varied)).toBe(true)
      }),
    )
  })

  it('ends after its last entry', () => {
    expect(retryDelay([0, 5], 1, 0.5, null)).toBe(5)
    expect(retryDelay([0, 5], 2, 0.5, null)).toBe(null)
    expect(retryDelay([0, 5], 2, 0.5, 60_000)).toBe(null)
  })

  it('takes Retry-After as a floor, and at most a day of it', () => {
    expect(retryDelay([0, 5000], 1, 0.5, 1000)).toBe(5000)
    expect(retryDelay([0, 5000], 1, 0.5, 60_000)).toBe(60_000)
    expect(retryDelay([0, 5000], 1, 0.5, Number.MAX_SAFE_INTEGER)).toBe(86_400_000)
  })

  it.each([[[]], [[-1]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]], [[0.5]], [[1e300]], ['5000']])(
    'cannot be %j',
    (schedule) => {
      expect(() => createWebhooks({ storage: memoryStorage(), retry: { scheduleMs: schedule as number[] } })).toThrow(
        /schedule/,
      )
    },
  )
})

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Thu, 01 Jan 2026 00:02:00 GMT', 120_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', null],
    ['-5', null],
    ['1.5', null],
    ['2026', 2_026_000],
    ['', null],
    [undefined, null],
  ])('%j is %j ms', (header, expected) => expect(parseRetryAfter(header, now)).toBe(expected))
})
