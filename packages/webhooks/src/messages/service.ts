/** Publishing: one transaction writes the message and its deliveries, or nothing. */
import { createHash } from 'node:crypto'
import { checkScope, coreErrors, type DomainEvent, parse, type Runtime, type Scope, type Tx } from '@org/core'
import type { z } from 'zod'
import type { StoredDelivery } from '../deliveries/schema.js'
import { SendTest, type TestSent } from '../endpoints/schema.js'
import type { Subscriber } from '../endpoints/store.js'
import { webhooksErrors } from '../errors.js'
import { type EventTypes, subscribesTo, testEventType } from '../event-types/catalog.js'
import type { EventTypesService } from '../event-types/service.js'
import type { WebhooksStorage } from '../storage/port.js'
import {
  type Message,
  type MessageBody,
  type Publish,
  type Published,
  PublishInput,
  type StoredMessage,
} from './schema.js'

export interface MessagesOptions {
  storage: WebhooksStorage
  runtime: Runtime
  eventTypes: EventTypesService
  /** How long the first attempt waits, in milliseconds. */
  firstDelay: number
  /** Called after something was published. */
  wake: () => void
}

/** What a message is made of, before it has an id. */
interface Draft {
  tenantId: string
  type: string
  data: unknown
  idempotencyKey: string | null
  channels: string[] | null
}

/** One mebibyte: a worker has the bodies of all that it sends in memory. Standard Webhooks advises to stay below 20 kB. */
const maxBodyBytes = 1024 * 1024

export type MessagesService<Types extends EventTypes> = ReturnType<typeof createMessagesService<Types>>

export function createMessagesService<Types extends EventTypes>(options: MessagesOptions) {
  const { storage, runtime, eventTypes, firstDelay, wake } = options

  function deliveryOf(message: StoredMessage, endpointId: string): StoredDelivery {
    return {
      id: runtime.id('del'),
      tenantId: message.tenantId,
      messageId: message.id,
      endpointId,
      eventType: message.type,
      status: 'pending',
      attempts: 0,
      step: 0,
      dueAt: message.createdAt + firstDelay,
      leaseToken: null,
      lastStatus: null,
      lastError: null,
      createdAt: message.createdAt,
      endedAt: null,
    }
  }

  async function publishDraft(draft: Draft, tx: Tx | undefined): Promise<Published> {
    const published = await storage.run(async (stores) => {
      const subscribers = await stores.endpoints.subscribers(draft.tenantId)
      const receivers = subscribers.filter(receives(draft))
      const message = messageOf(draft, runtime.id('msg'), runtime.clock.now(), receivers.length)
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
    /**
     * Publishes an event to every endpoint of the tenant that subscribes to it. With `tx` it joins the host's
     * transaction: the message exists if and only if the host commits.
     *
     * @throws ProblemError `invalid_input` for an unknown type, or for data that does not fit the type's schema;
     *   `idempotency_conflict` if the key was used with other content; `foreign_transaction`.
     */
    publish: async (input: Publish<Types>, { tx }: { tx?: Tx | undefined } = {}): Promise<Published> =>
      publishDraft(draftOf(input), tx),

    /**
     * Publishes the domain events whose type is in the catalogue, and ignores the rest. Joins the event's transaction
     * if it is one of the same database; opens its own otherwise. Pass it as a value.
     */
    sink: async (event: DomainEvent, tx: Tx): Promise<void> => {
      if (!eventTypes.has(event.type) || tellsOfItself(event)) return
      const { tenantId, type, data } = event
      await publishDraft(draftOf({ tenantId, type, data }), storage.owns(tx) ? tx : undefined)
    },

    /** @throws ProblemError `not_found`. */
    async get(scope: Scope, id: string): Promise<Message & { data: unknown }> {
      const { tenantId, tx } = checkScope(scope)
      const found = await storage.read(({ messages }) => messages.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      const { tenantId: _, body, fingerprint: __, ...message } = found
      return { ...message, data: (JSON.parse(body) as MessageBody).data }
    },

    /**
     * Publishes a message to one endpoint, whatever it subscribes to, on the same path as any other: signed, retried
     * and logged. Without a type it is a `webhook.test`; with one, the type's example unless `data` is given.
     *
     * @throws ProblemError `not_found`; `endpoint_disabled`; `invalid_input` for an unknown type or data not fitting it.
     */
    async sendTest(scope: Scope, endpointId: string, input?: SendTest): Promise<TestSent> {
      const content = testContent(parse(SendTest, input), eventTypes)
      const { tenantId } = checkScope(scope)
      const draft: Draft = { ...content, tenantId, idempotencyKey: null, channels: null }
      const sent = await storage.run(async (stores) => {
        const endpoint = await stores.endpoints.get(tenantId, endpointId)
        if (!endpoint) throw coreErrors.not_found()
        if (!endpoint.enabled) throw webhooksErrors.endpoint_disabled({ detail: 'Enable it before you test it.' })
        const message = messageOf(draft, runtime.id('msg'), runtime.clock.now(), 1)
        const delivery = deliveryOf(message, endpoint.id)
        await stores.messages.insertOrFind(message)
        await stores.deliveries.insert([delivery])
        return { messageId: message.id, deliveryId: delivery.id }
      }, scope.tx)
      wake()
      return sent
    },
  }
}

function testContent(
  { type, data }: z.output<typeof SendTest>,
  eventTypes: EventTypesService,
): { type: string; data: unknown } {
  if (type === undefined) return { type: testEventType, data: data ?? { message: 'This is a test.' } }
  return { type, data: eventTypes.parseData(type, data ?? eventTypes.example(type)) }
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

function messageOf(draft: Draft, id: string, now: number, deliveries: number): StoredMessage {
  const { tenantId, type, data, channels, idempotencyKey } = draft
  const body = encode({ type, timestamp: new Date(now).toISOString(), data })
  const size = Buffer.byteLength(body)
  if (size > maxBodyBytes) throw unfit(`makes a body of ${size} bytes; at most ${maxBodyBytes} are sent`)
  const fingerprint = createHash('sha256')
    .update(canonical([type, data, channels]))
    .digest('hex')
  return { id, tenantId, type, body, channels, idempotencyKey, fingerprint, deliveries, createdAt: now }
}

function encode(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw unfit('cannot be written as JSON', cause)
  }
}

function unfit(detail: string, cause?: unknown) {
  return coreErrors.invalid_input({ errors: [{ pointer: '/data', detail }], cause })
}

/** The same text for the same content, in whatever order a caller or a database put its names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
