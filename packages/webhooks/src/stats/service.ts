/** How each endpoint fares. */
import { checkId, checkScope, coreErrors, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import type { Health } from '../endpoints/store.js'
import { percentile } from './percentile.js'
import { type BoundedCount, type EndpointStats, hourMs, StatsQuery, type StoredStats } from './schema.js'
import type { CountedStatus } from './store.js'
import { addStats, emptyStats } from './tally.js'

/** Counting stops there. */
const maxCount = 10_000

/** What is answered unless told, and the most that can be asked for. */
const defaultRangeMs = 7 * 24 * hourMs
const maxRangeMs = 400 * 24 * hourMs

/** What `webhooks.endpoints` has of this. */
export interface Stats {
  /**
   * How an endpoint fares: attempts and how long they took, by the hour and in all, and what it has waiting now. Times
   * are epoch milliseconds, widened to whole hours; the last seven days unless told, at most 400.
   *
   * @throws ProblemError `not_found`; `invalid_input` for a range that is none.
   */
  stats(scope: Scope, id: string, query?: StatsQuery): Promise<EndpointStats>
}

export function createStats({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>): Stats {
  return {
    async stats(scope, id, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const now = runtime.clock.now()
      const { since, until } = rangeOf(parse(StatsQuery, query), now)
      return storage.read(async ({ endpoints, stats }) => {
        if (!(await endpoints.get(tenantId, id))) throw coreErrors.not_found()
        const count = async (status: CountedStatus) => bounded(await stats.countOf(tenantId, id, status, countLimit))
        const hours = await stats.between(tenantId, id, since, until)
        const [health] = await endpoints.health([id])
        return {
          since,
          until,
          ...summaryOf(hours, emptyStats(id, tenantId, since)),
          pending: await count('pending'),
          held: await count('held'),
          deadLetters: await count('dead_letter'),
          circuit: circuitOf(health, now),
          failingSince: health?.failingSince ?? null,
          consecutiveFailures: health?.failures ?? 0,
        }
      }, tx)
    },
  }
}

/** How many there are, of a count that stopped above what is told. */
export function bounded(count: number): BoundedCount {
  return { count: Math.min(count, maxCount), capped: count > maxCount }
}

/** Where to stop counting, to know whether there are more than are told. */
export const countLimit = maxCount + 1

function rangeOf(query: StatsQuery, now: number): { since: number; until: number } {
  const end = query.until ?? now
  const begin = query.since ?? end - defaultRangeMs
  const refuse = (pointer: string, detail: string) => coreErrors.invalid_input({ errors: [{ pointer, detail }] })
  if (begin > end) throw refuse('/since', 'must not be after `until`')
  if (end - begin > maxRangeMs) throw refuse('/since', 'must be at most 400 days before `until`')
  return { since: Math.floor(begin / hourMs) * hourMs, until: Math.ceil((end + 1) / hourMs) * hourMs }
}

function summaryOf(hours: readonly StoredStats[], sum: StoredStats) {
  for (const hour of hours) addStats(sum, hour)
  const succeeded = sum.attempts - sum.failures
  return {
    attempts: sum.attempts,
    succeeded,
    failed: sum.failures,
    successRate: sum.attempts === 0 ? null : succeeded / sum.attempts,
    p50Ms: percentile(sum, 0.5),
    p95Ms: percentile(sum, 0.95),
    p99Ms: percentile(sum, 0.99),
    maxMs: percentile(sum, 1) === null ? null : sum.maxMs,
    series: hours.map((row) => ({
      hour: row.hour,
      attempts: row.attempts,
      failures: row.failures,
      p50Ms: percentile(row, 0.5),
      p95Ms: percentile(row, 0.95),
    })),
  }
}

function circuitOf(health: Health | undefined, now: number): EndpointStats['circuit'] {
  if (!health || health.openUntil === null) return 'closed'
  return health.openUntil > now ? 'open' : 'half_open'
}
