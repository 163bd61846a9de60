/** Percentiles out of a histogram. */
import { bucketBounds, bucketFields, type StoredStats } from './schema.js'

/**
 * The duration that this share of the attempts stayed within, in whole milliseconds: as if those of a bucket were spread
 * evenly over it. Never more than the longest; null if nothing was measured.
 */
export function percentile(stats: StoredStats, share: number): number | null {
  const counts = bucketFields.map((field) => stats[field])
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const rank = share * total
  let below = 0
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const lower = index === 0 ? 0 : (bucketBounds[index - 1] ?? 0)
      const upper = Math.min(bucketBounds[index] ?? stats.maxMs, stats.maxMs)
      return Math.round(lower + (upper - lower) * ((rank - below) / count))
    }
    below += count
  }
  return stats.maxMs
}
