/** What enabling an endpoint does besides: it begins anew with the engine, and what was held goes out. */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { releaseHeld } from '../jobs/release.js'
import type { WebhooksStores } from '../storage/port.js'
import { healthy } from './health.js'
import { saveEndpoint } from './save.js'
import type { Endpoint, StoredEndpoint } from './schema.js'

/** For a locked endpoint that is disabled. Workers are to be woken after it. */
export async function enableEndpoint(
  deps: Pick<Deps, 'runtime' | 'emit'>,
  scope: Scope,
  found: StoredEndpoint,
  stores: WebhooksStores,
  tx: Tx,
): Promise<Endpoint> {
  const [health = healthy(found)] = await stores.endpoints.awaitHealth([found.id])
  const { tenantId: _, ...fresh } = { ...healthy(found), bucketAt: health.bucketAt }
  await stores.endpoints.updateHealth([fresh])
  await releaseHeld(deps, scope, found.id, stores, tx)
  const patch = { enabled: true, disabledReason: null, unverified: false }
  return saveEndpoint(deps, scope, 'endpoint.enabled', found, patch, stores, tx)
}
