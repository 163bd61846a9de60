import type { Clock } from '../runtime.js'

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** Moves it forward, in milliseconds. */
  advance(ms: number): void
  /** Moves it to a time in epoch milliseconds or RFC 3339 text. */
  set(time: number | string): void
}

/** Starts at 2026-01-01 unless told. */
export function fakeClock(start: number | string = '2026-01-01T00:00:00Z'): FakeClock {
  const toMs = (time: number | string) => (typeof time === 'number' ? time : Date.parse(time))
  let time = toMs(start)
  return {
    now: () => time,
    advance(ms) {
      time += ms
    },
    set(to) {
      time = toMs(to)
    },
  }
}
