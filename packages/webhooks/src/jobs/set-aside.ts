/** Recovering and redriving: what failed is sent again, in the order of the deliveries' ids. */
import type { StoredDelivery } from '../deliveries/schema.js'
import type { SetAsideQuery } from '../deliveries/store.js'
import type { Deps } from '../deps.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import { subscribesTo } from '../event-types/catalog.js'
import type { WebhooksStores } from '../storage/port.js'
import { afresh, type Errand, isBeingSent, reachedBy, rowsPerTurn, unique, type Walk } from './walk.js'

export function createSetAsideWalk({ runtime }: Pick<Deps, 'runtime'>): Walk {
  return {
    async end({ deliveries }, { tenantId, endpointId }) {
      const id = await deliveries.lastId(tenantId, endpointId)
      return id === null ? null : { createdAt: runtime.clock.now(), id }
    },

    async count({ deliveries }, errand, limit) {
      const query = queryOf(errand)
      return query ? deliveries.countSetAside(query, limit) : 0
    },

    async turn(stores, errand, endpoint) {
      const { deliveries, messages } = stores
      const query = queryOf(errand)
      const after: [string] | null = errand.reached && [errand.reached.id]
      const rows = query ? await deliveries.setAside(query, { limit: rowsPerTurn, after }) : []
      const wanted = rows.filter(({ eventType }) => subscribesTo(errand.params.eventTypes, eventType))
      // Messages are locked before deliveries, as everywhere: retention leaves these payloads to the end of the turn.
      const messageIds = unique(wanted.map(({ messageId }) => messageId))
      const withPayload = new Set(await messages.withPayload(messageIds, { keep: true }))
      const locked = await deliveries.lockAll(wanted.map(({ id }) => id))
      const now = runtime.clock.now()
      const { due, held } = await sorted(stores, errand, { locked, withPayload }, endpoint, now)
      await deliveries.updateAll(idsOf(due), afresh('pending', now))
      await deliveries.updateAll(idsOf(held), afresh('held', now))
      const affected = due.length + held.length
      return {
        processed: rows.length,
        affected,
        skipped: wanted.length - affected,
        reached: reachedBy(rows),
        endpointIds: unique(due.map(({ endpointId }) => endpointId)),
      }
    },
  }
}

/** What is to be sent, and what waits for its endpoint; the rest stays as it is. */
async function sorted(
  { endpoints }: WebhooksStores,
  { kind }: Errand,
  { locked, withPayload }: { locked: readonly StoredDelivery[]; withPayload: ReadonlySet<string> },
  endpoint: StoredEndpoint | null,
  now: number,
) {
  const statuses: readonly string[] = statusesOf(kind)
  const found = endpoint ? [endpoint] : await endpoints.byIds(unique(locked.map(({ endpointId }) => endpointId)))
  const enabled = new Map(found.map((one) => [one.id, one.enabled]))
  // Somebody may have changed it, or have it sent, since it was listed.
  const able = locked.filter(
    (row) => statuses.includes(row.status) && !isBeingSent(row, now) && withPayload.has(row.messageId),
  )
  return {
    due: able.filter(({ endpointId }) => enabled.get(endpointId) === true),
    held: able.filter(
      ({ endpointId, status }) => enabled.get(endpointId) === false && kind === 'recover' && status !== 'held',
    ),
  }
}

function queryOf({ kind, tenantId, endpointId, params, upTo }: Errand): SetAsideQuery | null {
  const { since, until } = params
  return upTo && { tenantId, endpointId, statuses: statusesOf(kind), since, until, upTo: upTo.id }
}

function statusesOf(kind: Errand['kind']): SetAsideQuery['statuses'] {
  return kind === 'recover' ? ['dead_letter', 'held'] : ['dead_letter']
}

function idsOf(rows: readonly StoredDelivery[]): string[] {
  return rows.map(({ id }) => id)
}
