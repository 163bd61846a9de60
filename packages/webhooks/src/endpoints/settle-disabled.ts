/** What the engine's answers do to endpoints. */
import { systemActor, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import { saveEndpoint } from './save.js'

/** An endpoint that had something to hold. */
export interface HeldEndpoint {
  tenantId: string
  /** The URL that answered 410, if one did. */
  gone: string | null
}

/**
 * Within the engine's transaction: locks the endpoints that had something to hold, disables those that answered 410,
 * and answers which of them are disabled.
 */
export async function settleDisabled(
  deps: Pick<Deps, 'runtime' | 'emit'>,
  stores: WebhooksStores,
  held: ReadonlyMap<string, HeldEndpoint>,
  tx: Tx,
): Promise<ReadonlySet<string>> {
  const disabled = new Set<string>()
  for (const [id, { tenantId, gone }] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = await stores.endpoints.lock(tenantId, id)
    // Somebody may have put another URL in the place of the one that is gone.
    if (!found || (found.enabled && found.url !== gone)) continue
    disabled.add(id)
    if (!found.enabled) continue
    const patch = { enabled: false, disabledReason: 'gone' } as const
    await saveEndpoint(deps, { tenantId, actor: systemActor }, 'endpoint.disabled', found, patch, stores, tx)
  }
  return disabled
}
