/** The clock that processes share, and what is made of what it measures. */

/** Monotonic milliseconds, the same in every process of a machine. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** The value that a share of all are not above: the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * Lets everybody have a turn in each round, forward in one and backward in the next. The first round warms up and does
 * not count. Answers what each had: `[side][round]`.
 */
export async function takeTurns(sides: readonly (() => Promise<number>)[], rounds: number): Promise<number[][]> {
  const measured: number[][] = sides.map(() => [])
  for (let round = 0; round <= rounds; round++) {
    const order = sides.map((_, side) => side)
    for (const side of round % 2 === 0 ? order : order.reverse()) {
      const rate = (await sides[side]?.()) ?? Number.NaN
      if (round > 0) measured[side]?.push(rate)
    }
  }
  return measured
}

/** Two sides' rounds, each with the other's. */
export function pairs(own: readonly number[] = [], others: readonly number[] = []): [number, number][] {
  return own.map((rate, round) => [rate, others[round] ?? Number.NaN])
}
