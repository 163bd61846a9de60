/** Whether the engine keeps up. */
import { coreErrors } from '@org/core'
import type { Result } from '../delivery/attempt.js'
import type { Deps } from '../deps.js'
import type { BoundedCount } from './schema.js'
import { bounded, countLimit } from './service.js'

/** How the engine fares, over all tenants. */
export interface EngineHealth {
  /** Nothing that could be sent has been due for longer than `maxLagMs`. */
  ok: boolean
  /** How long the longest due delivery has been due; null if none is. See {@link HealthCheck.health}. */
  lagMs: number | null
  /** How many endpoints have something due that could be sent. */
  dueEndpoints: number
  /** Messages to so many endpoints that a worker fans them out, and which it has not ended. */
  fanOutsPending: BoundedCount
  /** When a worker of this process last noted a delivery that arrived; null if none has. */
  lastSuccessAt: number | null
}

export interface HealthCheck {
  /**
   * How the engine fares, for the host's own health endpoint: its cost is by the endpoints
   * that have something pending, not by how much. Endpoints whose circuit is open,
   * or that have drawn on their rate limit, are left out: they wait by design. Rejects if the database cannot be read.
   *
   * `maxLagMs` is what `ok` goes by: five minutes unless told.
   *
   * @throws ProblemError `setup_error` for a lag that is no time.
   */
  health(options?: { maxLagMs?: number }): Promise<EngineHealth>
}

const defaultMaxLagMs = 5 * 60 * 1000

/** Answers the check, and what a worker calls with what it has finished. */
export function createHealthCheck({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>) {
  const { clock } = runtime
  let lastSuccessAt: number | null = null

  function noteFinished(results: readonly Result[]): void {
    if (results.some(({ outcome }) => outcome.kind === 'delivered')) lastSuccessAt = clock.now()
  }

  const health: HealthCheck['health'] = async ({ maxLagMs = defaultMaxLagMs } = {}) => {
    if (!(maxLagMs >= 0)) throw coreErrors.setup_error({ detail: '`maxLagMs` must be a number of milliseconds.' })
    return storage.read(async ({ deliveries, endpoints, stats }) => {
      const now = clock.now()
      const due = (await deliveries.agenda()).filter(({ dueAt }) => dueAt <= now)
      const known = due.length > 0 ? await endpoints.health(due.map(({ endpointId }) => endpointId)) : []
      const waits = new Set(
        known.filter((row) => row.openUntil !== null || row.bucketAt > now).map((row) => row.endpointId),
      )
      const sendable = due.filter(({ endpointId }) => !waits.has(endpointId))
      const lagMs = sendable.length === 0 ? null : sendable.reduce((lag, { dueAt }) => Math.max(lag, now - dueAt), 0)
      const fanOutsPending = bounded(await stats.countFanOuts(countLimit))
      return { ok: (lagMs ?? 0) <= maxLagMs, lagMs, dueEndpoints: sendable.length, fanOutsPending, lastSuccessAt }
    })
  }

  return { health, noteFinished }
}
