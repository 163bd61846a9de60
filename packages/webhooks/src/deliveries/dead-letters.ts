/** Deliveries whose every attempt failed, and what to do about them. */
import { coreErrors, type Page, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import { changeDelivery, dueNow } from './change.js'
import { listDeliveries } from './list.js'
import { DeadLetterQuery, type Delivery, type StoredDelivery } from './schema.js'

/** What `webhooks.deadLetters` has. */
export interface DeadLetters {
  /** The newest first. As in `deliveries.list`, a page may have fewer than its limit and a `next` all the same. */
  list(scope: Scope, query?: DeadLetterQuery): Promise<Page<Delivery>>
  /**
   * Sends it again, from the beginning of the schedule.
   *
   * @throws ProblemError `not_found` if it is no dead letter; `endpoint_disabled`, `endpoint_deleted`,
   *   `payload_expunged`.
   */
  redrive(scope: Scope, id: string): Promise<Delivery>
  /** Gives it up; the log keeps it. @throws ProblemError `not_found` if it is no dead letter. */
  discard(scope: Scope, id: string): Promise<Delivery>
}

export function createDeadLetters(deps: Pick<Deps, 'storage' | 'runtime' | 'emit' | 'wake'>): DeadLetters {
  return {
    list: async (scope, query = {}) =>
      listDeliveries(deps, scope, { ...parse(DeadLetterQuery, query), status: 'dead_letter' }),

    async redrive(scope, id) {
      const redriven = (found: StoredDelivery, stores: WebhooksStores) => {
        requireDeadLetter(found)
        return dueNow(found, deps.runtime.clock.now(), stores)
      }
      const delivery = await changeDelivery(deps, scope, id, 'delivery.redriven', redriven, { keepsPayload: true })
      deps.wake([delivery.endpointId])
      return delivery
    },

    discard: (scope, id) =>
      changeDelivery(deps, scope, id, 'delivery.discarded', (found) => {
        requireDeadLetter(found)
        return { status: 'discarded' }
      }),
  }
}

function requireDeadLetter(found: StoredDelivery): void {
  if (found.status !== 'dead_letter') throw coreErrors.not_found({ detail: `The delivery is ${found.status}.` })
}
