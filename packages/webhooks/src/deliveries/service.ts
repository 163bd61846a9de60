/** The delivery log: what went where, how it went, and what to do about it. */
import {
  checkScope,
  coreErrors,
  type Emit,
  type Page,
  PageQuery,
  paginate,
  parse,
  type Runtime,
  type Scope,
} from '@org/core'
import { webhooksErrors } from '../errors.js'
import type { webhooksEvents } from '../events.js'
import type { WebhooksStorage, WebhooksStores } from '../storage/port.js'
import {
  type Attempt,
  DeadLetterQuery,
  Delivery,
  type DeliveryFilter,
  DeliveryQuery,
  DeliveryView,
  type StoredDelivery,
} from './schema.js'
import type { DeliveryPatch } from './store.js'

export interface DeliveriesOptions {
  storage: WebhooksStorage
  runtime: Runtime
  emit: Emit<typeof webhooksEvents>
  /** Called after something was made due. */
  wake: () => void
}

export type DeliveriesService = ReturnType<typeof createDeliveriesService>['deliveries']
export type DeadLettersService = ReturnType<typeof createDeliveriesService>['deadLetters']

export function createDeliveriesService({ storage, runtime, emit, wake }: DeliveriesOptions) {
  const { clock } = runtime

  async function listed(scope: Scope, query: PageQuery & DeliveryFilter): Promise<Page<Delivery>> {
    const { tenantId, tx } = checkScope(scope)
    const { limit, cursor, ...filter } = query
    const page = await paginate(
      { limit: Number(limit), cursor },
      ['string'],
      (slice) => storage.read(({ deliveries }) => deliveries.list(tenantId, filter, slice), tx),
      (row) => [row.id],
    )
    return { ...page, data: page.data.map(publicPart) }
  }

  async function get(scope: Scope, id: string): Promise<Delivery> {
    const { tenantId, tx } = checkScope(scope)
    const found = await storage.read(({ deliveries }) => deliveries.get(tenantId, id), tx)
    if (!found) throw coreErrors.not_found()
    return publicPart(found)
  }

  /** Locks the delivery, changes it as `decide` says, and says so in the same transaction. */
  async function change(
    scope: Scope,
    id: string,
    type: Exclude<keyof typeof webhooksEvents & `delivery.${string}`, 'delivery.dead_lettered'>,
    decide: (found: StoredDelivery, stores: WebhooksStores) => Promise<DeliveryPatch> | DeliveryPatch,
  ): Promise<Delivery> {
    const { tenantId } = checkScope(scope)
    return storage.run(async (stores, tx) => {
      const found = await stores.deliveries.lock(tenantId, id)
      if (!found) throw coreErrors.not_found()
      const patch = await decide(found, stores)
      await stores.deliveries.update(id, patch)
      const after = publicPart({ ...found, ...patch })
      const { messageId, endpointId, eventType } = after
      const data = { deliveryId: id, messageId, endpointId, eventType }
      const seen = { before: DeliveryView.parse(publicPart(found)), after: DeliveryView.parse(after) }
      await emit(scope, { type, resource: { type: 'delivery', id }, data, ...seen }, tx)
      return after
    }, scope.tx)
  }

  /** Due now; the schedule begins anew unless it is under way. */
  async function dueNow(found: StoredDelivery, { endpoints }: WebhooksStores): Promise<DeliveryPatch> {
    const now = clock.now()
    if (found.leaseToken !== null && found.dueAt > now) throw webhooksErrors.delivery_in_flight()
    const endpoint = await endpoints.get(found.tenantId, found.endpointId)
    if (!endpoint) throw webhooksErrors.endpoint_deleted()
    if (!endpoint.enabled) throw webhooksErrors.endpoint_disabled({ detail: 'Enable it before you send to it.' })
    const restart = found.status === 'pending' ? {} : { step: 0 }
    return { ...restart, status: 'pending', dueAt: now, endedAt: null }
  }

  const deliveries = {
    /** The newest first. */
    list: async (scope: Scope, query: DeliveryQuery = {}): Promise<Page<Delivery>> =>
      listed(scope, parse(DeliveryQuery, query)),

    /** @throws ProblemError `not_found`. */
    get,

    /** The attempts of one delivery, the latest first. @throws ProblemError `not_found`. */
    async attempts(scope: Scope, id: string, query: PageQuery = {}): Promise<Page<Attempt>> {
      const page = parse(PageQuery, query)
      await get(scope, id)
      return paginate(
        page,
        ['number'],
        (slice) => storage.read(({ deliveries }) => deliveries.attempts(id, slice), scope.tx),
        (row) => [row.number],
      )
    },

    /**
     * Sends it now: at once if it waits for its next attempt, once more if it has ended. It goes out with the same
     * `webhook-id`.
     *
     * @throws ProblemError `not_found`, `delivery_in_flight`, `endpoint_disabled`, `endpoint_deleted`.
     */
    async retry(scope: Scope, id: string): Promise<Delivery> {
      const delivery = await change(scope, id, 'delivery.retried', dueNow)
      wake()
      return delivery
    },

    /**
     * No further attempt is made. One that is under way may still arrive, and counts as delivered if it does.
     *
     * @throws ProblemError `not_found`; `delivery_ended` unless it is pending or held.
     */
    cancel: (scope: Scope, id: string): Promise<Delivery> =>
      change(scope, id, 'delivery.canceled', (found) => {
        if (found.status !== 'pending' && found.status !== 'held') {
          throw webhooksErrors.delivery_ended({ detail: `It is ${found.status}.` })
        }
        return { status: 'canceled', endedAt: clock.now() }
      }),
  }

  const deadLetters = {
    /** Deliveries whose every attempt failed, the newest first. */
    list: async (scope: Scope, query: DeadLetterQuery = {}): Promise<Page<Delivery>> =>
      listed(scope, { ...parse(DeadLetterQuery, query), status: 'dead_letter' }),

    /**
     * Sends it again, from the beginning of the schedule.
     *
     * @throws ProblemError `not_found` if it is no dead letter; `endpoint_disabled`, `endpoint_deleted`.
     */
    async redrive(scope: Scope, id: string): Promise<Delivery> {
      const delivery = await change(scope, id, 'delivery.redriven', (found, stores) => {
        requireDeadLetter(found)
        return dueNow(found, stores)
      })
      wake()
      return delivery
    },

    /** Gives it up; the log keeps it. @throws ProblemError `not_found` if it is no dead letter. */
    discard: (scope: Scope, id: string): Promise<Delivery> =>
      change(scope, id, 'delivery.discarded', (found) => {
        requireDeadLetter(found)
        return { status: 'discarded' }
      }),
  }

  return { deliveries, deadLetters }
}

function requireDeadLetter(found: StoredDelivery): void {
  if (found.status !== 'dead_letter') throw coreErrors.not_found({ detail: `The delivery is ${found.status}.` })
}

function publicPart(stored: StoredDelivery): Delivery {
  const waits = stored.status === 'pending' && stored.leaseToken === null
  return Delivery.parse({ ...stored, nextAttemptAt: waits ? stored.dueAt : null })
}
