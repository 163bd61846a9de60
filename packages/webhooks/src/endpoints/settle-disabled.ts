/** What the engine does when an endpoint has answered 410, has failed for days, or turns out to be disabled. */
import { systemActor, type Tx } from '@org/core'
import type { Result } from '../delivery/attempt.js'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import { maxFailingMs } from './health.js'
import { saveEndpoint } from './save.js'
import type { DisabledReason, Endpoint } from './schema.js'
import { talliesOf } from './settle-health.js'

export interface Settled {
  /** Those that are disabled, of the endpoints that the results speak of. */
  disabled: ReadonlySet<string>
  newlyDisabled: { endpoint: Endpoint; tenantId: string }[]
}

interface Suspect {
  tenantId: string
  /** Where it was sent to. */
  url: string | null
  /** Why it is to be disabled, if it is. */
  reason: DisabledReason | null
}

/**
 * Within the engine's transaction: locks the endpoints that had something to hold, or that have failed for too long,
 * disables those that are to be, and says so.
 */
export async function settleDisabled(
  deps: Pick<Deps, 'runtime' | 'emit'>,
  stores: WebhooksStores,
  results: readonly Result[],
  now: number,
  tx: Tx,
): Promise<Settled> {
  const suspects = suspectsOf(results)
  await addFailing(stores, results, suspects, now)
  const settled = { disabled: new Set<string>(), newlyDisabled: [] as Settled['newlyDisabled'] }
  for (const [id, { tenantId, url, reason }] of [...suspects].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = await stores.endpoints.lock(tenantId, id)
    if (!found) continue
    if (!found.enabled) settled.disabled.add(id)
    // Somebody may have put another URL in the place of the one that failed.
    else if (reason !== null && found.url === url) {
      settled.disabled.add(id)
      const patch = { enabled: false, disabledReason: reason }
      const scope = { tenantId, actor: systemActor }
      const endpoint = await saveEndpoint(deps, scope, 'endpoint.disabled', found, patch, stores, tx)
      settled.newlyDisabled.push({ endpoint, tenantId })
    }
  }
  return settled
}

function suspectsOf(results: readonly Result[]): Map<string, Suspect> {
  const found = new Map<string, Suspect>()
  for (const { job, outcome } of results) {
    if (outcome.kind !== 'held') continue
    const { endpointId, tenantId } = job.delivery
    if (found.get(endpointId)?.reason) continue
    found.set(endpointId, { tenantId, url: job.endpoint?.url ?? null, reason: outcome.gone ? 'gone' : null })
  }
  return found
}

/** Those that have failed for days, and did again just now. */
async function addFailing(
  { endpoints }: WebhooksStores,
  results: readonly Result[],
  suspects: Map<string, Suspect>,
  now: number,
): Promise<void> {
  const failing = [...talliesOf(results)].filter(([, { failed, succeeded }]) => failed > 0 && succeeded === 0)
  if (failing.length === 0) return
  const byId = new Map(results.map(({ job }) => [job.delivery.endpointId, job]))
  for (const { endpointId, tenantId, failingSince } of await endpoints.health(failing.map(([id]) => id))) {
    if (failingSince === null || now - failingSince < maxFailingMs || suspects.get(endpointId)?.reason) continue
    suspects.set(endpointId, { tenantId, url: byId.get(endpointId)?.endpoint?.url ?? null, reason: 'failing' })
  }
}
