/** Keeps the books on which endpoints answer. */
import type { Result } from '../delivery/attempt.js'
import type { WebhooksStores } from '../storage/port.js'
import { afterAttempts, type Tally } from './health.js'

/** Within the engine's transaction: notes who failed, and who that had failed is well again. Costs nothing otherwise. */
export async function settleHealth(
  { endpoints }: WebhooksStores,
  results: readonly Result[],
  now: number,
): Promise<void> {
  const tallies = talliesOf(results)
  if (tallies.size === 0) return
  const locked = await endpoints.awaitHealth([...tallies.keys()].sort())
  const changed = locked.map((health) => {
    const { tenantId: _, ...patch } = afterAttempts(health, tallies.get(health.endpointId) as Tally, now)
    return patch
  })
  await endpoints.updateHealth(changed)
}

/** What came of the attempts, for the endpoints whose health that may change. */
export function talliesOf(results: readonly Result[]): Map<string, Tally> {
  const tallies = new Map<string, Tally>()
  const ailing = new Set<string>()
  for (const { job, attempt } of results) {
    // What the host's own function failed at says nothing of the endpoint.
    if (!attempt || attempt.error === 'worker_stopped' || attempt.error === 'transform_failed') continue
    const { endpointId } = job.delivery
    const tally = tallies.get(endpointId) ?? { failed: 0, succeeded: 0, probeFailed: false }
    tallies.set(endpointId, tally)
    if (attempt.error === null) {
      tally.succeeded++
      if (job.ailing) ailing.add(endpointId)
    } else {
      tally.failed++
      tally.probeFailed ||= job.probe
      ailing.add(endpointId)
    }
  }
  for (const id of tallies.keys()) if (!ailing.has(id)) tallies.delete(id)
  return tallies
}
