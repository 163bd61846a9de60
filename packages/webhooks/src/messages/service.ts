/** Publishing: one transaction writes the message and its deliveries, or nothing. */
import { checkId, checkScope, coreErrors, type DomainEvent, parse, type Scope, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { Subscriber } from '../endpoints/store.js'
import { type EventTypes, subscribesTo } from '../event-types/catalog.js'
import { createDrafting, type Draft } from './draft.js'
import {
  type Message,
  type MessageBody,
  type Publish,
  type Published,
  PublishInput,
  type StoredMessage,
} from './schema.js'

/** What `webhooks.messages` has, and the two verbs that the module itself shows. */
export interface Messages<Types extends EventTypes> {
  /**
   * Publishes an event to every endpoint of the tenant that subscribes to it. With `tx` it joins the host's
   * transaction: the message exists if and only if the host commits.
   *
   * @throws ProblemError `invalid_input` for an unknown type, or for data that does not fit the type's schema;
   *   `idempotency_conflict` if the key was used with other content; `foreign_transaction`.
   */
  publish(input: Publish<Types>, options?: { tx?: Tx | undefined }): Promise<Published>
  /**
   * Publishes the domain events whose type is in the catalog, and ignores the rest. Joins the event's transaction if it
   * is one of the same database; opens its own otherwise. Pass it as a value.
   */
  sink(event: DomainEvent, tx: Tx): Promise<void>
  /** A message and its data. @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Message & { data: unknown }>
}

export function createMessages<Types extends EventTypes>(
  deps: Pick<Deps, 'storage' | 'runtime' | 'eventTypes' | 'schedule' | 'wake'>,
): Messages<Types> {
  const { storage, eventTypes, wake } = deps
  const { messageOf, deliveryOf } = createDrafting(deps)

  async function publishDraft(draft: Draft, tx: Tx | undefined): Promise<Published> {
    const published = await storage.run(async (stores) => {
      const subscribers = await stores.endpoints.subscribers(draft.tenantId)
      const receivers = subscribers.filter(receives(draft))
      const message = messageOf(draft, receivers.length)
      const earlier = await stores.messages.insertOrFind(message)
      if (earlier) return duplicateOf(earlier, message)
      await stores.deliveries.insert(receivers.map(({ id }) => deliveryOf(message, id)))
      return { messageId: message.id, deliveries: receivers.length, duplicate: false }
    }, tx)
    wake()
    return published
  }

  function draftOf(input: unknown): Draft {
    const { data, idempotencyKey = null, channels = null, ...rest } = parse(PublishInput, input)
    return { ...rest, data: eventTypes.parseData(rest.type, data), idempotencyKey, channels }
  }

  return {
    publish: async (input, { tx } = {}) => publishDraft(draftOf(input), tx),

    async sink(event, tx) {
      if (!eventTypes.has(event.type) || tellsOfItself(event)) return
      const { tenantId, type, data } = event
      await publishDraft(draftOf({ tenantId, type, data }), storage.owns(tx) ? tx : undefined)
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read(({ messages }) => messages.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      const { tenantId: _, body, fingerprint: __, ...message } = found
      return { ...message, data: (JSON.parse(body) as MessageBody).data }
    },
  }
}

/** Whether an endpoint subscribes to the type and hears the channel. One that names channels hears only those. */
function receives({ type, channels }: Draft) {
  return (endpoint: Subscriber): boolean =>
    subscribesTo(endpoint.eventTypes, type) &&
    (endpoint.channels === null || endpoint.channels.some((channel) => channels?.includes(channel)))
}

/** A dead letter that told of a dead letter, told again, would go round for ever. */
function tellsOfItself({ type, data }: DomainEvent): boolean {
  return type === 'delivery.dead_lettered' && data.eventType === type
}

function duplicateOf(earlier: StoredMessage, { fingerprint }: StoredMessage): Published {
  if (earlier.fingerprint !== fingerprint) {
    const detail = `The key was used to publish ${earlier.id}, with another type, data or channels.`
    throw coreErrors.idempotency_conflict({ detail })
  }
  return { messageId: earlier.id, deliveries: earlier.deliveries, duplicate: true }
}
