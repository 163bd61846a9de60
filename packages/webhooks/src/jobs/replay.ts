/** Replaying: all that an endpoint subscribes to is sent again, in the order of its publication. */
import { besideOrder, type StoredDelivery } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import { subscribesTo } from '../event-types/catalog.js'
import { createDrafting } from '../messages/draft.js'
import { orderKeyOf, placeBehind, receives } from '../messages/fan-out.js'
import type { MessageBody } from '../messages/schema.js'
import type { PublishedQuery, PublishedRow } from '../messages/store.js'
import type { WebhooksStores } from '../storage/port.js'
import { afresh, type Errand, isBeingSent, reachedBy, rowsPerTurn, type Walk } from './walk.js'

/** How many payloads are in memory at once, to be filtered. */
const payloadsAtOnce = 25

export function createReplayWalk(deps: Pick<Deps, 'runtime' | 'filters' | 'schedule' | 'maxBodyBytes'>): Walk {
  const { clock } = deps.runtime
  const { deliveryOf } = createDrafting(deps)

  /** Those that the endpoint hears, as it is now, and of the others of its types those that nobody can tell of. */
  async function heard({ messages }: WebhooksStores, endpoint: StoredEndpoint, rows: readonly PublishedRow[]) {
    const hears = (row: PublishedRow, data: () => unknown) => receives(deps.filters, endpoint, row, data)
    const unfiltered = { ...endpoint, filter: null }
    const likely = rows.filter((row) => receives(deps.filters, unfiltered, row, () => null))
    // Retention may be removing them: what it leaves, it leaves to the end of this transaction.
    const ids = likely.map(({ id }) => id)
    const withPayload = new Set(await messages.withPayload(ids, { keep: true }))
    const there = likely.filter(({ id }) => withPayload.has(id))
    const expunged = likely.length - there.length
    if (endpoint.filter === null) return { found: there, expunged }
    const found: PublishedRow[] = []
    for (let start = 0; start < there.length; start += payloadsAtOnce) {
      const some = there.slice(start, start + payloadsAtOnce)
      const bodies = new Map((await messages.byIds(some.map(({ id }) => id))).map(({ id, body }) => [id, body]))
      const dataOf = ({ id }: PublishedRow) => (JSON.parse(bodies.get(id) ?? '{}') as MessageBody).data
      found.push(...some.filter((row) => hears(row, () => dataOf(row))))
    }
    return { found, expunged }
  }

  return {
    end: ({ messages }, { tenantId }) => messages.lastPublished(tenantId),

    async count({ messages }, errand, limit) {
      const query = queryOf(errand)
      return query ? messages.countPublished(query, limit) : 0
    },

    async turn(stores, errand, endpoint) {
      if (!endpoint) throw new Error('A replay is to one endpoint.')
      const { messages, deliveries } = stores
      const query = queryOf(errand)
      const rows = query ? await messages.published(query, { limit: rowsPerTurn, after: errand.reached }) : []
      const asked = rows.filter(({ type }) => subscribesTo(errand.params.eventTypes, type))
      const { found, expunged } = await heard(stores, endpoint, asked)
      const ids = found.map(({ id }) => id)
      const earlier = byMessage(await deliveries.lockAll(await deliveries.idsTo(endpoint.id, ids)))
      const now = clock.now()
      const again: PublishedRow[] = []
      let skipped = expunged
      for (const message of found) {
        const own = earlier.get(message.id) ?? []
        if (own.length === 0 && message.test) continue
        if (own.some((row) => isOnItsWay(row, endpoint, now)) || isToBeFannedOut(message, endpoint)) skipped++
        else again.push(message)
      }
      await send(stores, endpoint, again, earlier, now)
      const { length: affected } = again
      const endpointIds = affected > 0 && endpoint.enabled ? [endpoint.id] : []
      return { processed: rows.length, affected, skipped, reached: reachedBy(rows), endpointIds }
    },
  }

  async function send(
    stores: WebhooksStores,
    endpoint: StoredEndpoint,
    again: readonly PublishedRow[],
    earlier: ReadonlyMap<string, StoredDelivery[]>,
    now: number,
  ): Promise<void> {
    const { deliveries } = stores
    const place = createPlacing(stores, endpoint)
    const made: StoredDelivery[] = []
    const changed: (Pick<StoredDelivery, 'id'> & Awaited<ReturnType<typeof place>> & ReturnType<typeof afresh>)[] = []
    for (const message of again) {
      const patch = { ...afresh(endpoint.enabled ? 'pending' : 'held', now), ...(await place(message, now)) }
      const id = earlier.get(message.id)?.at(-1)?.id
      if (id !== undefined) changed.push({ id, ...patch })
      else made.push({ ...deliveryOf({ ...message, tenantId: endpoint.tenantId }, endpoint), ...patch, createdAt: now })
    }
    await deliveries.updateEach(changed)
    await deliveries.insert(made)
  }
}

/** Behind what is still to be sent of the same key, and one behind the other. */
function createPlacing({ deliveries }: WebhooksStores, endpoint: StoredEndpoint) {
  const lasts = new Map<string, Pick<StoredDelivery, 'position' | 'dueAt'> | null>()
  return async (message: PublishedRow, dueAt: number) => {
    const orderKey = orderKeyOf(endpoint, message)
    if (orderKey === null) return { orderKey, position: endpoint.ordering === null ? 0 : besideOrder, dueAt }
    const known = lasts.get(orderKey)
    const last = known === undefined ? await deliveries.lastInOrder(endpoint.id, orderKey) : known
    const place = placeBehind(last, message.createdAt, dueAt)
    lasts.set(orderKey, place)
    return { orderKey, ...place }
  }
}

/** By itself, or when its endpoint is enabled. */
function isOnItsWay(row: StoredDelivery, { enabled }: StoredEndpoint, now: number): boolean {
  return row.status === 'pending' || isBeingSent(row, now) || (row.status === 'held' && !enabled)
}

/** Fan-out has yet to come to this endpoint, and would make a second delivery. */
function isToBeFannedOut({ fanOutAfter, createdAt }: PublishedRow, endpoint: StoredEndpoint): boolean {
  return fanOutAfter !== null && endpoint.id > fanOutAfter && endpoint.createdAt <= createdAt
}

function byMessage(rows: readonly StoredDelivery[]): Map<string, StoredDelivery[]> {
  const found = new Map<string, StoredDelivery[]>()
  for (const row of rows) found.set(row.messageId, [...(found.get(row.messageId) ?? []), row])
  return found
}

function queryOf({ tenantId, params: { since, until }, upTo }: Errand): PublishedQuery | null {
  return upTo && { tenantId, since, until, upTo }
}
