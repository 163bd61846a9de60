/** How a change to an endpoint is written and told. */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { webhooksEvents } from '../events.js'
import type { WebhooksStores } from '../storage/port.js'
import { Endpoint, EndpointView, type StoredEndpoint } from './schema.js'
import { signingOf } from './secrets.js'

export type EndpointEvent = keyof typeof webhooksEvents & `endpoint.${string}`

/** Writes `patch` over a locked endpoint, and says so in the same transaction: all that it is. */
export async function saveEndpoint(
  deps: Pick<Deps, 'runtime' | 'emit'>,
  scope: Scope,
  types: EndpointEvent | readonly EndpointEvent[],
  found: StoredEndpoint,
  patch: Partial<StoredEndpoint>,
  { endpoints }: WebhooksStores,
  tx: Tx,
): Promise<Endpoint> {
  const stamped = { ...patch, updatedAt: deps.runtime.clock.now() }
  await endpoints.update(found.id, stamped)
  const after = publicPart({ ...found, ...stamped })
  const seen = { before: EndpointView.parse(publicPart(found)), after: EndpointView.parse(after) }
  for (const type of [types].flat()) await deps.emit(scope, { type, ...about(after), ...seen }, tx)
  return after
}

/** Without the tenant and the secrets. */
export function publicPart(endpoint: StoredEndpoint): Endpoint {
  const { headers, secrets } = endpoint
  const publicKey = secrets[0]?.publicKey ?? null
  return Endpoint.parse({ ...endpoint, headerNames: Object.keys(headers), signing: signingOf(endpoint), publicKey })
}

/** What an event says it is about. */
export function about({ id, url, enabled, disabledReason }: Endpoint) {
  return { resource: { type: 'endpoint', id }, data: { endpointId: id, url, enabled, disabledReason } }
}
