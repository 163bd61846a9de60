/** Publishing: one transaction writes the message and its deliveries, or nothing. */
import { checkId, checkScope, coreErrors, type DomainEvent, parse, type Scope, type Tx } from '@org/core'
import { cancelWaiting } from '../deliveries/cancel.js'
import type { Deps } from '../deps.js'
import type { EventTypes } from '../event-types/catalog.js'
import type { WebhooksStores } from '../storage/port.js'
import { tracePublish, tracePublishBatch } from '../telemetry/publish.js'
import { createDrafting, type Draft } from './draft.js'
import type { FanOut } from './fan-out.js'
import {
  type MessageBody,
  type MessageWithData,
  type Publish,
  type Published,
  PublishInput,
  type StoredMessage,
} from './schema.js'

/** What `webhooks.messages` has, and the verbs that the module itself shows. */
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
   * Publishes many in one transaction, all or none; answers in their order.
   *
   * @throws ProblemError as `publish`, with pointers that begin with the message's index; nothing is then published.
   */
  publishBatch(inputs: readonly Publish<Types>[], options?: { tx?: Tx | undefined }): Promise<Published[]>
  /**
   * Publishes the domain events whose type is in the catalog, and ignores the rest. Joins the event's transaction if it
   * is one of the same database; opens its own otherwise. Pass it as a value.
   */
  sink(event: DomainEvent, tx: Tx): Promise<void>
  /** A message and its data. @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<MessageWithData>
  /**
   * Cancels what is still to be sent of a message. An attempt under way may still arrive, and counts as delivered if it
   * does; it is not repeated. Answers how many deliveries were canceled. @throws ProblemError `not_found`.
   */
  cancel(scope: Scope, id: string): Promise<{ canceled: number }>
}

type MessageDeps = Pick<Deps, 'storage' | 'runtime' | 'emit' | 'eventTypes' | 'schedule' | 'maxBodyBytes' | 'wake'>

export function createMessages<Types extends EventTypes>(deps: MessageDeps, fanOut: FanOut): Messages<Types> {
  const { storage, runtime, emit, eventTypes, wake } = deps
  const { messageOf } = createDrafting(deps)

  /** Works on what nobody else may have seen yet: it throws nothing of its own once it has written. */
  async function write(stores: WebhooksStores, message: StoredMessage): Promise<Published & { to: string[] }> {
    const earlier = await stores.messages.insertOrFind(message)
    if (earlier) return { ...(await duplicateOf(earlier, message, stores)), to: [] }
    if (message.coalesceKey !== null) {
      const { tenantId, coalesceKey, createdAt } = message
      // First the fan-out: what a worker is writing of it is there to be canceled then.
      await stores.messages.stopFanOut(message)
      await cancelWaiting(stores, { tenantId, coalesceKey }, createdAt)
    }
    return published(message, await fanOut.begin(stores, [message]))
  }

  async function publishDraft(draft: Draft, tx: Tx | undefined): Promise<Published> {
    const message = messageOf(draft)
    const { to, ...answer } = await tracePublish(draft.type, () =>
      storage.run((stores) => write(stores, message), tx, { savepoint: false }),
    )
    wake(to)
    return answer
  }

  function draftOf(input: unknown, root = ''): Draft {
    const parsed = parse(PublishInput, input, root)
    const { idempotencyKey = null, channels = null, orderingKey = null, coalesceKey = null } = parsed
    const data = eventTypes.parseData(parsed.type, parsed.data, root)
    return { tenantId: parsed.tenantId, type: parsed.type, data, idempotencyKey, channels, orderingKey, coalesceKey }
  }

  return {
    publish: async (input, { tx } = {}) => publishDraft(draftOf(input), tx),

    async publishBatch(inputs, { tx } = {}) {
      const messages = inputs.map((input, index) => messageOf(draftOf(input, `/${index}`)))
      const written = async (stores: WebhooksStores) => {
        const found = new Map<string, Published & { to: string[] }>()
        // In the order given, which endpoints may keep.
        for (const run of runsOf(messages)) {
          const [first] = run
          if (first && !isPlain(first)) {
            found.set(first.id, await write(stores, first))
            continue
          }
          await stores.messages.insert(run)
          for (const group of byTenant(run)) {
            const made = await fanOut.begin(stores, group)
            const own = new Map<string, typeof made>(group.map(({ id }) => [id, made === null ? null : []]))
            for (const delivery of made ?? []) own.get(delivery.messageId)?.push(delivery)
            for (const message of group) found.set(message.id, published(message, own.get(message.id) ?? null))
          }
        }
        return messages.map(({ id }) => found.get(id) as Published & { to: string[] })
      }
      const answers = await tracePublishBatch(messages.length, () => storage.run(written, tx))
      wake(answers.flatMap(({ to }) => to))
      return answers.map(({ to: _, ...answer }) => answer)
    },

    async sink(event, tx) {
      if (!eventTypes.has(event.type) || tellsOfItself(event)) return
      const { tenantId, type, data } = event
      await publishDraft(draftOf({ tenantId, type, data }), storage.owns(tx) ? tx : undefined)
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const [found, deliveries] = await storage.read(
        async (stores) => [await stores.messages.get(tenantId, id), await stores.deliveries.countOf(id)] as const,
        tx,
      )
      if (!found) throw coreErrors.not_found()
      const { tenantId: _, body, fingerprint: __, fanOutAfter: ___, test: ____, ...message } = found
      const data = body === null ? null : (JSON.parse(body) as MessageBody).data
      return { ...message, data, expunged: body === null, deliveries }
    },

    async cancel(scope, id) {
      const { tenantId } = checkScope(scope)
      checkId(id)
      return storage.run(async (stores, tx) => {
        const found = await stores.messages.get(tenantId, id)
        if (!found) throw coreErrors.not_found()
        if (found.fanOutAfter !== null) await stores.messages.update(id, { fanOutAfter: null })
        const canceled = await cancelWaiting(stores, { messageId: id }, runtime.clock.now())
        const data = { messageId: id, eventType: found.type, canceled }
        await emit(scope, { type: 'message.canceled', resource: { type: 'message', id }, data }, tx)
        return { canceled }
      }, scope.tx)
    },
  }
}

function published(
  message: StoredMessage,
  made: readonly { endpointId: string }[] | null,
): Published & { to: string[] } {
  const to = made?.map(({ endpointId }) => endpointId) ?? []
  return { messageId: message.id, deliveries: made?.length ?? null, duplicate: false, to }
}

/** Whether it can be written together with others. */
function isPlain({ idempotencyKey, coalesceKey }: StoredMessage): boolean {
  return idempotencyKey === null && coalesceKey === null
}

/** As many together as can be written so, and each of the others alone. */
function runsOf(messages: readonly StoredMessage[]): StoredMessage[][] {
  const runs: StoredMessage[][] = []
  for (const message of messages) {
    const last = runs.at(-1)
    if (last?.[0] && isPlain(last[0]) && isPlain(message)) last.push(message)
    else runs.push([message])
  }
  return runs
}

function byTenant(messages: readonly StoredMessage[]): StoredMessage[][] {
  const groups = new Map<string, StoredMessage[]>()
  for (const message of messages) {
    const group = groups.get(message.tenantId)
    if (group) group.push(message)
    else groups.set(message.tenantId, [message])
  }
  return [...groups.values()]
}

/** A dead letter that told of a dead letter, told again, would go round for ever. */
function tellsOfItself({ type, data }: DomainEvent): boolean {
  return type === 'delivery.dead_lettered' && data.eventType === type
}

async function duplicateOf(
  earlier: StoredMessage,
  { fingerprint }: StoredMessage,
  { deliveries }: WebhooksStores,
): Promise<Published> {
  if (earlier.fingerprint !== fingerprint) {
    const detail = `The key was used to publish ${earlier.id}, with another type, data or channels.`
    throw coreErrors.idempotency_conflict({ detail })
  }
  const count = earlier.fanOutAfter === null ? await deliveries.countOf(earlier.id) : null
  return { messageId: earlier.id, deliveries: count, duplicate: true }
}
