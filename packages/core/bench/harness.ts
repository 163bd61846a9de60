/** Side-by-side measuring: subject and reference take turns in one run, and what counts is the median of the ratios. */

export interface Comparison {
  /** `rbac/cached-check` */
  bench: string
  subject: string
  reference: string
  /** The lowest ratio that we accept; null where the figure is only shown. */
  floor: number | null
  /**
   * How many processes measure it, of which the one in the middle counts; 1 unless told. What the compiler makes of the
   * same code differs from process to process by more than some things cost.
   */
  processes?: number
  /** Makes both ready; `close` undoes it. Each function does one unit of work, or as many as it says. */
  open(): Promise<{
    subject(): unknown
    reference(): unknown
    unitsPerCall?: number
    /** Lays out work for the subject's next round, outside of what is measured. */
    layOut?(): Promise<void>
    close?(): Promise<void>
  }>
}

/** What takes more than two functions to measure: it takes turns by itself, and may have several results. */
export interface Experiment {
  /** What `--only` chooses it by; its results have names of their own. */
  bench: string
  measure(): Promise<Measured[]>
}

export type Measured = Result | Shown

export interface Result {
  bench: string
  subject: string
  /** Units of work per second. */
  subjectRate: number
  reference: string
  referenceRate: number
  /** subject / reference: higher is better. */
  ratio: number
  floor: number | null
}

/** What has nothing to be compared with. */
export interface Shown {
  bench: string
  subject: string
  /** By name with the unit: `p50 ms`. */
  figures: Record<string, number>
}

/**
 * Rounds of each side, and how long one lasts in milliseconds: short and many, so that a machine which is busy with
 * something else for a moment slows both sides alike.
 */
const rounds = 25
const roundMs = 100
/** Before what counts, so that both are compiled. */
const warmUpRounds = 10
/** Work that takes less than this, in milliseconds, is done many times between two looks at the clock. */
const briefMs = 0.01

export async function compare(comparison: Comparison): Promise<Result> {
  const { subject, reference, unitsPerCall = 1, layOut, close } = await comparison.open()
  const own = async () => {
    await layOut?.()
    return rate(subject)
  }
  for (let round = 0; round < warmUpRounds; round++) {
    await own()
    await rate(reference)
  }
  const pairs: [number, number][] = []
  for (let round = 0; round < rounds; round++) {
    // Whoever goes first finds a warmer or a colder machine: take turns at that too.
    if (round % 2 === 0) pairs.push([await own(), await rate(reference)])
    else pairs.push(reverse([await rate(reference), await own()]))
  }
  await close?.()
  return resultOf(
    comparison,
    pairs.map(([first, other]) => [first * unitsPerCall, other * unitsPerCall]),
  )
}

/** What comes of the rates, per second, that subject and reference had in each round. */
export function resultOf(
  { bench, subject, reference, floor }: Pick<Comparison, 'bench' | 'subject' | 'reference' | 'floor'>,
  pairs: readonly (readonly [number, number])[],
): Result {
  return {
    bench,
    subject,
    subjectRate: Math.round(median(pairs.map(([first]) => first))),
    reference,
    referenceRate: Math.round(median(pairs.map(([, other]) => other))),
    ratio: Number(median(pairs.map(([first, other]) => first / other)).toPrecision(3)),
    floor,
  }
}

async function rate(work: () => unknown): Promise<number> {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < roundMs) {
    const times = count > 0 && elapsed / count < briefMs ? 64 : 1
    for (let i = 0; i < times; i++) {
      const result = work()
      // Knex's transactions are thenables, not promises; synchronous work must not pay for an await.
      if (typeof result === 'object' && result !== null && 'then' in result) await result
      count++
    }
    elapsed = performance.now() - start
  }
  return (count / elapsed) * 1000
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function reverse([a, b]: [number, number]): [number, number] {
  return [b, a]
}
