/** Who gets a message, and the deliveries that take it there. */

import type { StoredDelivery } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import type { Subscriber } from '../endpoints/store.js'
import { subscribesTo } from '../event-types/catalog.js'
import type { WebhooksStores } from '../storage/port.js'
import { createDrafting } from './draft.js'
import type { MessageBody, StoredMessage } from './schema.js'

/** A publisher fans out to so many endpoints of a tenant itself; a worker to the others, so many in one transaction. */
const inlineEndpoints = 100
const endpointsPerTurn = 500

/** In milliseconds. */
const longestTurn = 10

export type FanOutDeps = Pick<Deps, 'storage' | 'runtime' | 'schedule' | 'maxBodyBytes' | 'filters' | 'wake'>

export interface FanOut {
  /** Writes the deliveries of new messages of one tenant. Null for those that a worker is left to fan out. */
  begin(stores: WebhooksStores, messages: readonly StoredMessage[]): Promise<StoredDelivery[] | null>
  /** What a worker does: goes on with some messages, each in a transaction of its own. Answers whether there was any. */
  goOn(): Promise<boolean>
}

export function createFanOut(deps: FanOutDeps): FanOut {
  const { storage, filters, wake } = deps
  const { deliveryOf } = createDrafting(deps)

  async function deliver(
    stores: WebhooksStores,
    message: StoredMessage,
    subscribers: readonly Subscriber[],
  ): Promise<StoredDelivery[]> {
    const data = dataOnce(message)
    const made: StoredDelivery[] = []
    let turnBegan = performance.now()
    for (const endpoint of subscribers) {
      // Customers' filters over a large payload take long, and others want the event loop too.
      if (performance.now() - turnBegan > longestTurn) {
        await new Promise(setImmediate)
        turnBegan = performance.now()
      }
      if (!receives(filters, endpoint, message, data)) continue
      made.push(await inOrder(stores, endpoint, message, deliveryOf(message, endpoint)))
    }
    return made
  }

  return {
    async begin(stores, messages) {
      const [first] = messages
      if (!first) return []
      const subscribers = await stores.endpoints.subscribers(first.tenantId, {
        limit: inlineEndpoints + 1,
        after: null,
      })
      if (subscribers.length > inlineEndpoints || (await mustWait(stores, messages, subscribers))) {
        for (const { id } of messages) await stores.messages.update(id, { fanOutAfter: '' })
        return null
      }
      const made: StoredDelivery[] = []
      const waiting: StoredDelivery[] = []
      for (const message of messages) {
        const own = await deliver(stores, message, subscribers)
        made.push(...own)
        waiting.push(...own)
        // The next message looks for its place behind these.
        if (own.some(({ orderKey }) => orderKey !== null)) await stores.deliveries.insert(waiting.splice(0))
      }
      await stores.deliveries.insert(waiting)
      return made
    },

    async goOn() {
      const made = await storage.run(async (stores) => {
        const [message] = await stores.messages.toFanOut(1)
        if (!message) return null
        const slice = {
          limit: endpointsPerTurn,
          after: message.fanOutAfter ? ([message.fanOutAfter] as [string]) : null,
        }
        const subscribers = await stores.endpoints.subscribers(message.tenantId, slice)
        // Who came later did not subscribe when it was published.
        const earlier = subscribers.filter(({ createdAt }) => createdAt <= message.createdAt)
        const deliveries = await deliver(stores, message, earlier)
        await stores.deliveries.insert(deliveries)
        const last = subscribers.length < endpointsPerTurn ? null : (subscribers.at(-1)?.id ?? null)
        await stores.messages.update(message.id, { fanOutAfter: last })
        return deliveries
      })
      if (made === null) return false
      wake(made.map(({ endpointId }) => endpointId))
      return true
    },
  }
}

/** It would overtake what a worker has yet to fan out to endpoints that keep an order. */
async function mustWait(
  { messages }: WebhooksStores,
  own: readonly StoredMessage[],
  subscribers: readonly Subscriber[],
): Promise<boolean> {
  const keepsOrder = subscribers.some((endpoint) => own.some((message) => orderKeyOf(endpoint, message) !== null))
  const [first] = own
  return keepsOrder && first !== undefined && messages.anyToFanOut(first.tenantId)
}

/** Whether an endpoint hears a message. `data` is asked for if nothing else decides. */
export function receives(
  filters: Deps['filters'],
  endpoint: Pick<Subscriber, 'id' | 'eventTypes' | 'channels' | 'filter'>,
  { type, channels }: Pick<StoredMessage, 'type' | 'channels'>,
  data: () => unknown,
): boolean {
  if (!subscribesTo(endpoint.eventTypes, type)) return false
  if (endpoint.channels !== null && !endpoint.channels.some((channel) => channels?.includes(channel))) return false
  return filters.hears(endpoint, data)
}

/** Behind what is still to be sent of the same key. */
async function inOrder(
  { deliveries }: WebhooksStores,
  endpoint: Subscriber,
  message: StoredMessage,
  delivery: StoredDelivery,
): Promise<StoredDelivery> {
  const orderKey = orderKeyOf(endpoint, message)
  if (orderKey === null) return delivery
  const last = await deliveries.lastInOrder(endpoint.id, orderKey)
  return { ...delivery, orderKey, ...placeBehind(last, message.createdAt, delivery.dueAt) }
}

/** Among which deliveries of an endpoint a message has its place; null for no order. */
export function orderKeyOf(
  { ordering }: Pick<Subscriber, 'ordering'>,
  { orderingKey }: Pick<StoredMessage, 'orderingKey'>,
): string | null {
  return ordering === 'endpoint' ? '*' : ordering === 'key' ? orderingKey : null
}

type OrderPlace = Pick<StoredDelivery, 'position' | 'dueAt'>

/** After the last of its key, and put off with it. */
export function placeBehind(last: OrderPlace | null, createdAt: number, dueAt: number): OrderPlace {
  return { position: Math.max(createdAt, (last?.position ?? 0) + 1), dueAt: Math.max(dueAt, last?.dueAt ?? 0) }
}

function dataOnce({ body }: StoredMessage): () => unknown {
  let parsed: { data: unknown } | undefined
  return () => {
    parsed ??= JSON.parse(body ?? '{}') as MessageBody
    return parsed.data
  }
}
