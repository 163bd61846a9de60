/** The delivery log: what went where, how it went, and what to do about it. */
import { checkId, checkScope, coreErrors, type Page, PageQuery, paginate, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import type { WebhooksStores } from '../storage/port.js'
import { changeDelivery, dueNow, publicPart } from './change.js'
import { listDeliveries } from './list.js'
import { type Attempt, type Delivery, DeliveryQuery, type StoredDelivery } from './schema.js'

/** What `webhooks.deliveries` has. */
export interface Deliveries {
  /**
   * The newest first. With filters, a page may have fewer than its limit, or none, and a `next` all the same: each looks
   * at 10,000 rows at the most.
   */
  list(scope: Scope, query?: DeliveryQuery): Promise<Page<Delivery>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Delivery>
  /** The attempts of one delivery, the latest first. @throws ProblemError `not_found`. */
  attempts(scope: Scope, id: string, query?: PageQuery): Promise<Page<Attempt>>
  /**
   * Sends it now: at once if it waits for its next attempt, once more if it has ended. It goes out with the same
   * `webhook-id`.
   *
   * @throws ProblemError `not_found`, `delivery_in_flight`, `endpoint_disabled`, `endpoint_deleted`,
   *   `payload_expunged`.
   */
  retry(scope: Scope, id: string): Promise<Delivery>
  /**
   * No further attempt is made. One that is under way may still arrive, and counts as delivered if it does.
   *
   * @throws ProblemError `not_found`; `delivery_ended` unless it is pending or held.
   */
  cancel(scope: Scope, id: string): Promise<Delivery>
}

export function createDeliveries(deps: Pick<Deps, 'storage' | 'runtime' | 'emit' | 'wake'>): Deliveries {
  const { storage, wake } = deps
  const { clock } = deps.runtime

  async function get(scope: Scope, id: string): Promise<Delivery> {
    const { tenantId, tx } = checkScope(scope)
    checkId(id)
    const found = await storage.read(({ deliveries }) => deliveries.get(tenantId, id), tx)
    if (!found) throw coreErrors.not_found()
    return publicPart(found)
  }

  return {
    list: async (scope, query = {}) => listDeliveries(deps, scope, parse(DeliveryQuery, query)),
    get,

    async attempts(scope, id, query = {}) {
      await get(scope, id)
      return paginate(
        parse(PageQuery, query),
        ['number'],
        (slice) => storage.read(({ deliveries }) => deliveries.attempts(id, slice), scope.tx),
        (row) => [row.number],
      )
    },

    async retry(scope, id) {
      const retried = (found: StoredDelivery, stores: WebhooksStores) => dueNow(found, clock.now(), stores)
      const delivery = await changeDelivery(deps, scope, id, 'delivery.retried', retried, { keepsPayload: true })
      wake([delivery.endpointId])
      return delivery
    },

    async cancel(scope, id) {
      const canceled = await changeDelivery(deps, scope, id, 'delivery.canceled', async (found, { deliveries }) => {
        const { status, endpointId, orderKey, position } = found
        if (status !== 'pending' && status !== 'held') {
          throw webhooksErrors.delivery_ended({ detail: `It is ${status}.` })
        }
        const now = clock.now()
        // What waited behind it need not wait any longer.
        if (orderKey !== null) await deliveries.moveBehind(endpointId, orderKey, position, now)
        return { status: 'canceled', endedAt: now }
      })
      wake([canceled.endpointId])
      return canceled
    },
  }
}
