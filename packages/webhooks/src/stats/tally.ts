/** Sums up what came of many attempts, for the hourly statistics. */
import type { Result } from '../delivery/attempt.js'
import { type BucketField, bucketBounds, bucketFields, hourMs, type StoredStats } from './schema.js'

/**
 * One row for each endpoint, in the order of their ids, so that two workers that add theirs cannot deadlock. Leaves out
 * what a stopping worker cut off, which says nothing about the endpoint.
 */
export function statsOf(results: readonly Result[], now: number): StoredStats[] {
  const rows = new Map<string, StoredStats>()
  for (const { job, attempt } of results) {
    if (!attempt || attempt.error === 'worker_stopped') continue
    const { endpointId, tenantId } = job.delivery
    const row = rows.get(endpointId) ?? emptyStats(endpointId, tenantId, now)
    if (row.attempts === 0) rows.set(endpointId, row)
    row.attempts++
    if (attempt.error !== null) row.failures++
    // The host's own function failed, and nothing was sent that took any time.
    if (attempt.error === 'transform_failed') continue
    const durationMs = Math.round(attempt.durationMs)
    row.durationMs += durationMs
    row.maxMs = Math.max(row.maxMs, durationMs)
    row[bucketOf(durationMs)]++
  }
  return [...rows.values()].sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1))
}

export function emptyStats(endpointId: string, tenantId: string, time: number): StoredStats {
  return {
    endpointId,
    hour: Math.floor(time / hourMs) * hourMs,
    tenantId,
    attempts: 0,
    failures: 0,
    durationMs: 0,
    maxMs: 0,
    upTo50: 0,
    upTo100: 0,
    upTo250: 0,
    upTo500: 0,
    upTo1000: 0,
    upTo2500: 0,
    upTo5000: 0,
    upTo10000: 0,
    longer: 0,
  }
}

function bucketOf(durationMs: number): BucketField {
  let index = 0
  while (index < bucketBounds.length && durationMs > (bucketBounds[index] ?? 0)) index++
  return bucketFields[index] ?? 'longer'
}

/** Adds the numbers of `more` to `sum`. */
export function addStats(sum: StoredStats, more: StoredStats): void {
  sum.attempts += more.attempts
  sum.failures += more.failures
  sum.durationMs += more.durationMs
  sum.maxMs = Math.max(sum.maxMs, more.maxMs)
  for (const field of bucketFields) sum[field] += more[field]
}
