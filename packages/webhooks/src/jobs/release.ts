/**
 * Releasing: what was held while an endpoint was disabled goes out. Whoever enables it releases the first part; a worker
 * goes on with the rest. What is still held meanwhile holds back those behind it of its key, so that their order is kept.
 */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import { maxCounted, startJob } from './start.js'
import { rowsPerTurn, type Walk } from './walk.js'

/** Within the transaction that enables the endpoint, which is locked. */
export async function releaseHeld(
  deps: Pick<Deps, 'runtime' | 'emit'>,
  scope: Scope,
  endpointId: string,
  stores: WebhooksStores,
  tx: Tx,
): Promise<void> {
  const found = await stores.deliveries.releaseHeld(endpointId, deps.runtime.clock.now(), rowsPerTurn)
  if (found < rowsPerTurn) return
  const count = await stores.stats.countOf(scope.tenantId, endpointId, 'held', maxCounted + 1)
  if (count === 0) return
  const params = { since: null, until: null, eventTypes: null }
  await startJob(deps, scope, { kind: 'release', endpointId, params, upTo: null }, count, stores, tx)
}

export function createReleaseWalk({ runtime }: Pick<Deps, 'runtime'>): Walk {
  return {
    end: async () => null,
    count: ({ stats }, { tenantId, endpointId }, limit) => stats.countOf(tenantId, endpointId ?? '', 'held', limit),
    async turn({ deliveries }, _, endpoint) {
      const now = runtime.clock.now()
      // Somebody has disabled it again: what is left waits for the next who enables it.
      const found = endpoint?.enabled ? await deliveries.releaseHeld(endpoint.id, now, rowsPerTurn) : 0
      return {
        processed: found,
        affected: found,
        skipped: 0,
        reached: found < rowsPerTurn ? null : { createdAt: now, id: '' },
        endpointIds: endpoint && found > 0 ? [endpoint.id] : [],
      }
    },
  }
}
