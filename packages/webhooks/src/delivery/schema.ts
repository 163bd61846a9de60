import { z } from 'zod'

export const WorkerOptions = z.strictObject({
  /**
   * How many deliveries are sent at once: 100 unless told. What takes longer than 2 s no longer counts, up to four times
   * as many in all; one tenant has half of those at the most.
   */
  concurrency: z.int().min(1).max(10_000).default(100),
  /** How many of one endpoint this worker sends at once: 20 unless told. */
  maxInFlightPerEndpoint: z.int().min(1).default(20),
  /** The longest that an idle worker waits before it looks again, in milliseconds: 1,000 unless told. */
  pollMs: z.int().min(1).max(60_000).default(1_000),
})
export type WorkerOptions = z.input<typeof WorkerOptions>
